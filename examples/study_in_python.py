# %% [markdown]
"""A whole study without the shell, in the cells of a notebook: open it in VS Code, Spyder or PyCharm, or just run it.

Draw synthetic patients, say what to compare, run it, read what came out, and let a model contour a CT. Everything is
so small that it ends in a minute, and its scores are accordingly poor; what to enlarge for good ones is said where
it stands. All files go into the folder ``study-in-python`` beside where you are.
"""

# %% Imports
from pathlib import Path

from rich.console import Console

from gossamer import (
    Arm,
    Dataset,
    PlanRules,
    Recipe,
    Schedule,
    Study,
    closing_table,
    compare,
    predict_masks,
    read_cases,
    read_model,
    run_study,
    score_masks,
    tolerance_mm,
    write_cohort,
)
from gossamer.cli.console import Teller
from gossamer.data.phantom import HOSPITALS

FOLDER = Path("study-in-python")

# %% Patients: two hospitals that scan and contour differently. Your own come from `gossamer import`.
folders = write_cohort(FOLDER / "cohort", hospitals=HOSPITALS[:2], train=3, val=2)
for folder in folders:
    dataset = Dataset.open(folder)
    case = dataset.cases[0]
    print(f"hospital {dataset.site}: {len(dataset.cases)} patients, e.g. {case.id}, {case.shape} voxels (z, y, x)")
    print("  draws", ", ".join(dataset.structures))

# %% The study: what `study.toml` would say. Every arm sees the same number of patches.
study = Study(
    title="Two hospitals, three ways to train",
    datasets=tuple(folder.name for folder in folders),
    structures=("Liver", "Kidney_L", "Kidney_R"),
    seeds=(0,),  # at least two, to see how much is chance
    steps=120,  # some 1,000, and without the next two lines a network and images of the usual size
    plan=PlanRules(channels=(8, 16, 32), patch_voxels=16**3, case_voxels=20_000),
    recipe=Recipe(learning_rate=1e-2, threads=1),
    validations=2,
    arms={
        "local-only": Arm(kind="local-only", schedules=(Schedule(),)),
        "pooled": Arm(kind="pooled", schedules=(Schedule(),)),
        "gossip": Arm(kind="federated", algorithm="sweep", schedules=(Schedule(local_steps=5),)),
    },
)

# %% Run it. Interrupted, it goes on where it stopped; finished, it only reads what is there.
results = run_study(study, home=FOLDER / "cohort", folder=FOLDER / "results", watch=Teller(), pictures=True)
Console().print(closing_table(results, FOLDER / "results" / "cases.csv"))
print("the same with figures:", FOLDER / "results" / "report.html")

# %% Compare arms: every number of the report can be asked for.
comparison = compare(results, read_cases(FOLDER / "results" / "cases.csv"))
for arm in comparison.arms:
    dsc = ", ".join(f"{organ} {findings.dsc.estimate:.2f}" for organ, findings in arm.organs.items())
    print(f"{arm.arm}: {dsc}; surface DSC {arm.surface_dsc.estimate:.2f}, HD95 {arm.hd95_mm.estimate:.0f} mm")

# %% How training went: validation DSC by step, and how far the hospitals' models lie apart
for run in results.runs:
    course = ", ".join(f"step {point.step}: {point.dsc:.2f}" for point in run.curve)
    print(f"{run.arm}: {course}; models apart by {run.curve[-1].consensus_distance:.3f}")

# %% Contour one CT with the model that gossip gave hospital A
[gossip] = [run for run in results.runs if run.arm == "gossip"]
model = read_model(FOLDER / "results" / gossip.sites[0].model)
patient = next(case for case in Dataset.open(folders[0]).cases if case.split == "val")
image, reference = Dataset.open(folders[0]).read_image(patient), Dataset.open(folders[0]).read_masks(patient)
predicted = predict_masks(model.network, model.plan, image)

# %% Score it. An organ that was not drawn, or that the image cuts off, is not scored.
scores = {
    organ: score_masks(predicted[organ], reference[organ], image.frame.spacing_mm, tolerance_mm(organ))
    for organ in model.plan.structures
    if organ in patient.complete
}
for organ, score in scores.items():
    values = ", ".join(f"{metric} {value:.2f}" for metric, value in score.values.items())
    print(f"{patient.id}, {organ}: {score.predicted_voxels} voxels predicted, {values} ({score.outcome})")
