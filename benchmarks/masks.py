"""What main pieces and overlapping windows do to a study: its finished models, scored under three ways to make masks.

Neither changes anything in training but the choice of checkpoints, so a finished study's models are scored again on its
validation patients, each arm under the schedule it chose: every piece with windows that overlap by half, then main
pieces alone, then these with windows that overlap by two thirds. The study's folder stays as it is.

Run: python -m benchmarks.masks STUDY --on DATA
     where STUDY is what 'gossamer study run' wrote, and DATA the folder with its dataset folders
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.figures import options_parser
from gossamer.data.tg263 import STRUCTURES
from gossamer.learn.recipe import Recipe
from gossamer.segment.model_file import read_model, write_model
from gossamer.study.comparison import compare
from gossamer.study.outcome import datasets_of, read_results
from gossamer.study.results import RunResult, StudyResults
from gossamer.study.scores import CaseScore
from gossamer.study.scoring import RunName, patients_of, score_patients


@dataclass(frozen=True)
class Way:
    """To make masks of a network's output.

    Attributes:
        one_piece: whether organs that are one piece by anatomy keep their main piece alone.
        overlap: of windows; see ``PlanRules``.
    """

    one_piece: bool
    overlap: float


WAYS: Mapping[str, Way] = {
    "windows overlap by half, all pieces": Way(one_piece=False, overlap=0.5),
    "... main piece of each organ": Way(one_piece=True, overlap=0.5),
    "... and windows overlap by two thirds": Way(one_piece=True, overlap=0.667),
}


def main() -> None:
    """Print a table: a row for each way, a column for each arm."""
    options = _options().parse_args()
    results = read_results(options.study)
    chosen = results.model_copy(update={"runs": tuple(run for run in results.runs if run.chosen)})
    arms = list(dict.fromkeys(run.arm for run in chosen.runs))
    print(f"| masks: DSC, HD95 (mm) | {' | '.join(arms)} |\n|---|{'---|' * len(arms)}", flush=True)
    for name, way in WAYS.items():
        found = scores_of(chosen, options.study, options.on, way, options.threads)
        print(f"| {name} | {' | '.join(found[arm] for arm in arms)} |", flush=True)


def scores_of(results: StudyResults, study: Path, data: Path, way: Way, threads: int) -> dict[str, str]:
    """By arm, the means over organs: DSC and HD95 (mm)."""
    patients = patients_of(datasets_of(results, data), "val", results.structures)
    rows: list[CaseScore] = []
    with tempfile.TemporaryDirectory() as folder:
        for run in results.runs:
            rows += score_patients(
                RunName("masks", run.arm, run.schedule, run.seed),
                models=_models_of(run, study, way, Path(folder)),
                patients=patients,
                tolerance_mm=results.tolerance_mm,
                recipe=Recipe(threads=threads),
            )
    return {
        arm.arm: f"{arm.dsc.estimate:.3f}, {arm.hd95_mm.estimate:.1f}" for arm in compare(results, rows, "masks").arms
    }


def _models_of(run: RunResult, study: Path, way: Way, folder: Path) -> dict[str, Path]:
    """By site, a copy of its model whose plan has another way to make masks."""
    made: dict[str, Path] = {}
    for site in run.sites:
        place = folder / f"{run.arm}-{run.seed}-{site.site}.safetensors"
        model = read_model(study / site.model)
        pieces = [name for name in model.plan.structures if name in STRUCTURES and STRUCTURES[name].one_piece]
        plan = replace(model.plan, one_piece=tuple(pieces) if way.one_piece else (), overlap=way.overlap)
        write_model(place, model.params, plan, model.record, model.learned)
        made[site.site] = place
    return made


def _options() -> argparse.ArgumentParser:
    assert __doc__ is not None
    parser = options_parser(__doc__)
    parser.add_argument("study", type=Path)
    parser.add_argument("--on", type=Path, required=True)
    return parser


if __name__ == "__main__":
    main()
