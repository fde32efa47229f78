"""The closing table that a study ends with on a terminal: the report's numbers, in five columns."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table
from rich.text import Text

from gossamer.study import numerals as num
from gossamer.study.comparison import POOLED, ArmFindings, compare, set_names
from gossamer.study.results import StudyResults
from gossamer.study.scores import VALIDATION_SET, read_cases


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
