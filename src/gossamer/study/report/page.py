"""The report: one HTML file that opens offline, needs no script and tells its answer first."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from gossamer.atomic import write_atomically
from gossamer.errors import UsageError
from gossamer.evaluate.intervals import RESAMPLES
from gossamer.study import numerals as num
from gossamer.study.comparison import PART_RESAMPLES, compare, set_names
from gossamer.study.report import tables
from gossamer.study.report.answer import NAMES, Difference, answer_of, subject_of
from gossamer.study.report.figures import figures_of
from gossamer.study.report.pictures import CasePicture, field_mm, organ_colours, slice_svg
from gossamer.study.report.plots import Styles, difference_glyph
from gossamer.study.report.svg import STYLES, symbol
from gossamer.study.results import StudyResults
from gossamer.study.scores import VALIDATION_SET, read_cases

FIXED_STYLES = {"local-only": 0, "pooled": 1, "fedavg": 2, "gossip": 3}
"""So that an arm looks alike in every report."""


@dataclass(frozen=True)
class Tile:
    """One difference, large, with its interval drawn beside zero."""

    heading: str
    value: str
    bounds: str
    glyph: Markup


def write_report(results: StudyResults, cases_csv: Path, out: Path, pictures: Sequence[CasePicture] = ()) -> None:
    """Write the report of a study.

    Args:
        results: of the study.
        cases_csv: its rows.
        out: the HTML file.
        pictures: patients to show as CT slices with contours; public or synthetic data only.

    Raises:
        UsageError: pictures of data that is not public.
        StorageError: the rows cannot be read, or the file cannot be written.
    """
    if pictures and not results.public_data:
        raise UsageError(
            f"wanted a report with CT slices of {len(pictures)} patients; found a study on data that is not public; "
            "leave out --images: slices of patients must not leave the hospital in a report"
        )
    write_atomically(out, render(results, cases_csv, pictures))


def render(results: StudyResults, cases_csv: Path, pictures: Sequence[CasePicture] = ()) -> str:
    """The report as HTML."""
    cases = read_cases(cases_csv)
    comparisons = {name: compare(results, cases, name) for name in set_names(results)}
    first = next(iter(comparisons.values()))
    styles = arm_styles(results)
    answer = answer_of(results, first)
    colours = organ_colours(results.structures)
    page = _environment(styles).get_template("page.html.j2")
    return page.render(
        results=results,
        answer=answer,
        tiles=_tiles(answer.differences, styles.get(subject_of(first) or "", 0)),
        arm_tables={_set_heading(name): tables.arm_table(found) for name, found in comparisons.items()},
        run_notes=_run_notes(results),
        organ_tables=tables.organ_tables(first),
        figures=figures_of(results, first, styles),
        key=tuple(arm.arm for arm in first.arms),
        pictures=_pictures(pictures, colours),
        shown_runs=sorted({f"{picture.chosen.arm}, seed {picture.chosen.seed}" for picture in pictures}),
        organ_colours=colours,
        site_table=tables.site_table(results),
        drawn_table=tables.drawn_table(results),
        setting_tables=_settings(results),
        plan=json.dumps(results.plan, indent=1),
        locked=results.locked,
        resamples=RESAMPLES,
        part_resamples=PART_RESAMPLES,
    )


def arm_styles(results: StudyResults) -> Styles:
    """A colour and marker for each arm; beyond eight arms they come round again."""
    arms = dict.fromkeys(run.arm for run in results.runs)
    free = [style for style in range(STYLES) if style not in FIXED_STYLES.values()]
    others = [arm for arm in arms if arm not in FIXED_STYLES]
    own = {arm: free[i % len(free)] for i, arm in enumerate(others)}
    return {arm: FIXED_STYLES.get(arm, own.get(arm, 0)) for arm in arms}


def _environment(styles: Styles) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["symbol"] = lambda arm: symbol(styles[arm])
    environment.filters.update(score=num.score, count=num.count)
    return environment


def _tiles(differences: Sequence[Difference], style: int) -> tuple[Tile, ...]:
    reach = max((abs(end) for d in differences for end in (d.interval.low, d.interval.high)), default=0.0) * 1.1 or 1.0
    return tuple(
        Tile(
            heading=f"{difference.verdict} {NAMES.get(difference.theirs, difference.theirs)}",
            value=num.gain(difference.interval.estimate),
            bounds=num.gain_bounds(difference.interval),
            glyph=difference_glyph(
                difference.interval, reach, style, f"Difference to {difference.theirs} and its interval, beside zero"
            ),
        )
        for difference in differences
    )


def _set_heading(name: str) -> str:
    if name == VALIDATION_SET:
        return "Validation patients, on whom checkpoint and schedule were chosen"
    return f"Locked set “{name}”, which training never saw"


def _run_notes(results: StudyResults) -> tuple[str, ...]:
    """Each note once, with the runs that carry it."""
    runs: dict[str, list[str]] = {}
    for run in results.runs:
        if run.chosen:
            for note in run.notes:
                runs.setdefault(note, []).append(f"{run.arm} seed {run.seed}")
    return tuple(f"{note} ({', '.join(names)})" for note, names in runs.items())


@dataclass(frozen=True)
class CaseView:
    """A patient's slices with the words beneath."""

    heading: str
    case: str
    slices: tuple[tuple[Markup, str], ...]
    dsc: Mapping[str, float]


def _pictures(pictures: Sequence[CasePicture], colours: Mapping[str, str]) -> Mapping[str, tuple[CaseView, ...]]:
    field = field_mm(pictures)
    by_site: dict[str, list[CaseView]] = {}
    for picture in pictures:
        chosen = picture.chosen
        slices = tuple(
            (
                slice_svg(part, colours, f"{chosen.case}, {chosen.which} of {chosen.site}, axial slice", field),
                f"{part.position_mm:.0f} mm above the lowest slice",
            )
            for part in picture.slices
        )
        heading = f"{chosen.which.capitalize()} patient, mean DSC {num.score(chosen.dsc)}"
        by_site.setdefault(chosen.site, []).append(CaseView(heading, chosen.case, slices, picture.dsc))
    return {site: tuple(views) for site, views in by_site.items()}


def _settings(results: StudyResults) -> Mapping[str, tables.Table]:
    return {
        "Versions and machine": tables.pairs_table(
            ("What", "Version"), {"gossamer": results.gossamer_version, **results.environment}
        ),
        "Tolerance of the surface DSC": tables.pairs_table(
            ("Organ", "mm"), {organ: f"{mm:.1f}" for organ, mm in results.tolerance_mm.items()}
        ),
        "SHA-256": tables.pairs_table(
            ("Of", "Hash"),
            {
                "study file": results.study_sha256,
                "plan": results.plan_sha256,
                **{f"data of {site}": value for site, value in results.data_sha256.items()},
                **{f"locked set {locked.set_name}": locked.sha256 for locked in results.locked},
            },
        ),
    }
