"""The tables that a study begins and ends with on a terminal: who the hospitals are, and the report's numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from rich.table import Table
from rich.text import Text

from gossamer.data.dataset import Case, Dataset
from gossamer.study import numerals as num
from gossamer.study.comparison import POOLED, ArmFindings, compare, set_names
from gossamer.study.results import StudyResults
from gossamer.study.scores import VALIDATION_SET, read_cases


def opening_table(datasets: Mapping[str, Dataset], structures: Sequence[str]) -> Table:
    """Who the hospitals are, for ``rich`` to print.

    Args:
        datasets: by site.
        structures: of the study.
    """
    table = Table(box=None, pad_edge=False)
    table.add_column("site")
    table.add_column("patients", justify="right")
    table.add_column("spacing (mm)", no_wrap=True)
    table.add_column("draws")
    for site, dataset in datasets.items():
        training = [case for case in dataset.cases if case.split == "train"]
        held_back = sum(case.split == "val" for case in dataset.cases)
        table.add_row(
            Text(site), f"{len(training)} + {held_back}", _spacing(training), Text(_drawn(training, structures))
        )
    table.caption = "patients: for training + for validation; draws: in how many training patients, if not in all"
    table.caption_justify = "left"
    return table


def closing_table(results: StudyResults, cases_csv: Path) -> Table:
    """The arms of a study, for ``rich`` to print.

    Args:
        results: of the study.
        cases_csv: its rows.

    Raises:
        StorageError: the rows cannot be read.
    """
    set_name = set_names(results)[0]
    table = Table(box=None, pad_edge=False, title=_title(set_name), title_justify="left", title_style="bold")
    table.add_column("arm")
    for heading in ("DSC [95 %]", "worst site", "to pooled [95 %]", "sent by a site"):
        table.add_column(heading, justify="right", no_wrap=True)
    for arm in compare(results, read_cases(cases_csv), set_name).arms:
        table.add_row(*(Text(words) for words in _row(arm)))
    return table


def _spacing(cases: Sequence[Case]) -> str:
    """Median along x, y, z, as a scanner's console shows it."""
    z, y, x = (median(case.spacing_mm[axis] for case in cases) for axis in range(3))
    return " × ".join(f"{length:.1f}" for length in (x, y, z))


def _drawn(cases: Sequence[Case], structures: Sequence[str]) -> str:
    counts = {name: sum(name in case.annotated for case in cases) for name in structures}
    drawn = [name if count == len(cases) else f"{name} {count}" for name, count in counts.items() if count]
    never = [name for name, count in counts.items() if not count]
    return ", ".join(drawn) + (f"; never {', '.join(never)}" if never else "")


def _row(arm: ArmFindings) -> tuple[str, ...]:
    worst = arm.worst_site
    gain = arm.to_pooled
    return (
        arm.arm,
        f"{num.score(arm.dsc.estimate)} {num.score_bounds(arm.dsc)}",
        f"{num.score(arm.site_dsc[worst].estimate)} ({worst})",
        num.ABSENT if gain is None else f"{num.gain(gain.estimate)} {num.gain_bounds(gain)}",
        "all images" if arm.arm == POOLED else num.megabytes(arm.busiest_bytes),
    )


def _title(set_name: str) -> str:
    return "On validation patients" if set_name == VALIDATION_SET else f"On the locked set {set_name}"
