"""``gossamer demo``: four synthetic hospitals learn together, in a few minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

PATIENTS = (10, 2)
"""Training and validation patients of each hospital: enough to see the arms apart, few enough to draw in a minute."""


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the cohort, the results and the report.")] = Path(
        "demo"
    ),
    seed: Annotated[int, typer.Option(help="Of the cohort.")] = 0,
) -> None:
    """Four synthetic hospitals, four ways to train, one report; nothing in it is a real patient."""
    import tomllib

    from gossamer.cli.console import Teller
    from gossamer.cli.study import show_results
    from gossamer.data.phantom import HOSPITALS, write_cohort
    from gossamer.study.config import Study
    from gossamer.study.presets import read_preset
    from gossamer.study.run import outline, run_study
    from gossamer.study.summary import opening_table
    from gossamer.study.workspace import open_datasets

    teller = Teller()
    training, validation = PATIENTS
    cohort = out / "cohort"
    with teller.task("drawing patients", len(HOSPITALS) * (training + validation)) as task:
        write_cohort(cohort, train=training, val=validation, seed=seed, on_patient=lambda: task.advance(1))
    study = Study.model_validate(tomllib.loads(read_preset("demo")))
    datasets = open_datasets(study, cohort)
    teller.say("Four hospitals, synthetic patients: nothing in them is real.")
    teller.console.print(opening_table(datasets, study.structures))
    teller.say(outline(study, datasets))
    results = run_study(study, home=cohort, folder=out, watch=teller, pictures=True)
    show_results(results, out)
    teller.say("Next, your own data: gossamer import --help")
