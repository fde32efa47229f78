"""The page of a hospital: what stands out, its organs, and the way to each case."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from gossamer.qa.cohort import BEYOND, FEWEST_CASES, FLOORS, Cohort, OrganStatistics, Spread, What
from gossamer.qa.facts import CaseFacts
from gossamer.qa.page import environment

STRIP_PX = (240, 26)

DOT_PX = 3.0


@dataclass(frozen=True)
class OrganRow:
    """An organ with its pictures: a dot a case, the middle half as a box."""

    statistics: OrganStatistics
    volumes: Markup
    medians: Markup


@dataclass(frozen=True)
class CaseRow:
    """A case and what to look at in it."""

    facts: CaseFacts
    remarks: tuple[str, ...]


def render_index(cohort: Cohort, facts: Sequence[CaseFacts], failed: Mapping[str, str]) -> str:
    """The index as HTML, whole in itself but for the pages it links to.

    Args:
        cohort: the statistics.
        facts: of all cases, in the order to list them.
        failed: cases that could not be looked at, and why.
    """
    remarks = _remarks(cohort)
    rows = [CaseRow(one, tuple(remarks.get(one.case, ()))) for one in facts]
    return environment().get_template("index.html.j2").render(
        cohort=cohort,
        organs=[_organ_row(organ, cohort, facts) for organ in cohort.organs],
        rows=rows,
        remarked=sorted((row for row in rows if row.remarks), key=lambda row: -len(row.remarks)),
        notes=sum(bool(one.notes) for one in facts),
        failed=failed,
        fewest=FEWEST_CASES,
        beyond=BEYOND,
        floor_percent=round(100 * FLOORS["volume_ml"]),
        floor_hu=round(FLOORS["hu_median"]),
    )  # fmt: skip


def _remarks(cohort: Cohort) -> dict[str, list[str]]:
    """By case, what was seen in it and what sets it apart."""
    remarks: dict[str, list[str]] = {case: list(looks) for case, looks in cohort.looks.items()}
    for outlier in cohort.outliers:
        remarks.setdefault(outlier.case, []).append(outlier.sentence)
    for group in cohort.same_ct:
        for case in group:
            others = ", ".join(other for other in group if other != case)
            remarks.setdefault(case, []).append(f"the same CT, voxel for voxel, as {others}: one patient twice?")
    for one, two, correlation in cohort.alike:
        for case, other in ((one, two), (two, one)):
            text = f"its CT looks like that of {other} (correlation {correlation:.3f}): one patient twice?"
            remarks.setdefault(case, []).append(text)
    return remarks


def _organ_row(organ: OrganStatistics, cohort: Cohort, facts: Sequence[CaseFacts]) -> OrganRow:
    drawn = {one.case: one.organs[organ.organ] for one in facts if organ.organ in one.organs}
    out = {(outlier.what, outlier.case) for outlier in cohort.outliers if outlier.organ == organ.organ}
    volumes = {case: facts.volume_ml for case, facts in drawn.items() if facts.complete}
    medians = {case: facts.hu_median for case, facts in drawn.items()}
    return OrganRow(
        organ,
        _strip("volume_ml", volumes, organ.volume_ml, out, f"Volumes of {organ.organ}, ml"),
        _strip("hu_median", medians, organ.hu_median, out, f"Median HU of {organ.organ}"),
    )


def _strip(
    what: What, values: Mapping[str, float], spread: Spread | None, out: set[tuple[What, str]], title: str
) -> Markup:
    """A dot a case from the lowest value to the highest, volumes by their logarithms; outliers lead to their page."""
    if spread is None:
        return Markup("")
    width, height = STRIP_PX
    scale = math.log if what == "volume_ml" else float
    low, high = scale(spread.lowest), scale(spread.highest)

    def at(value: float) -> float:
        share = (scale(value) - low) / (high - low) if high > low else 0.5
        return 2 * DOT_PX + share * (width - 4 * DOT_PX)

    quarter, three = at(spread.quartile_1), at(spread.quartile_3)
    shapes = [
        Markup('<rect class="box" x="{:.1f}" y="6" width="{:.1f}" height="{}"/>').format(
            quarter, max(three - quarter, 1), height - 12
        ),
        Markup('<path class="axis" d="M{0:.1f} 3V{1}"/>').format(at(spread.median), height - 3),
    ]
    for case, value in sorted(values.items(), key=lambda item: (what, item[0]) in out):
        dot = Markup('<circle cx="{:.1f}" cy="{}" r="{}" class="{}"><title>{}: {:.4g}</title></circle>').format(
            at(value), height / 2, DOT_PX, "out" if (what, case) in out else "all", case, value
        )
        shapes.append(Markup('<a href="cases/{}.html">{}</a>').format(case, dot) if (what, case) in out else dot)
    return Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" class="strip" viewBox="0 0 {} {}" role="img"><title>{}</title>{}</svg>'
    ).format(width, height, title, Markup("").join(shapes))
