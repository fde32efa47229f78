"""Which figures the report shows, each with its words, in two widths and with its numbers as a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from markupsafe import Markup

from gossamer.study import numerals as num
from gossamer.study.comparison import POOLED, ArmFindings, Comparison
from gossamer.study.report import plots, tables
from gossamer.study.report.plots import Curve, Row, Styles, Tried
from gossamer.study.report.tables import Table
from gossamer.study.results import CurvePoint, RunResult, StudyResults


@dataclass(frozen=True)
class Figure:
    """A figure.

    Attributes:
        anchor: its place in the page.
        keyed: whether its markers need the key of the arms.
    """

    anchor: str
    title: str
    caption: str
    wide: Markup
    narrow: Markup
    table: Table
    keyed: bool = False


def figures_of(results: StudyResults, comparison: Comparison, styles: Styles) -> tuple[Figure, ...]:
    """All figures for which there are numbers."""
    if not comparison.arms:
        return ()
    shown = {arm.arm: styles[arm.arm] for arm in comparison.arms}
    found = (
        _organs(comparison, shown),
        _hospitals(comparison, shown),
        _against_steps(comparison, shown),
        _against_bytes(comparison, shown),
        _distance(comparison, shown),
        _schedules(results, styles),
    )
    return tuple(figure for figure in found if figure is not None)


def _figure(
    anchor: str, title: str, caption: str, table: Table, draw: Callable[[float], Markup], *, keyed: bool = False
) -> Figure:
    return Figure(anchor, title, caption, draw(plots.WIDE_PX), draw(plots.NARROW_PX), table, keyed)


def _organs(comparison: Comparison, styles: Styles) -> Figure:
    rows = [
        Row(organ, f"{patients} patients", {arm.arm: arm.organs[organ].dsc for arm in comparison.arms})
        for organ, patients in comparison.organ_patients.items()
        if patients
    ]
    title = "DSC of each organ"
    return _figure(
        "organs",
        title,
        "Mean over the patients in whom the organ is complete, with its 95 % interval.",
        tables.organ_tables(comparison)["DSC"],
        lambda width: plots.interval_plot(rows, styles, title, width),
        keyed=True,
    )


def _hospitals(comparison: Comparison, styles: Styles) -> Figure:
    rows = [
        Row(site, f"{patients} patients", {arm.arm: arm.site_dsc[site] for arm in comparison.arms})
        for site, patients in comparison.patients.items()
    ]
    title = "DSC at each hospital"
    return _figure(
        "hospitals",
        title,
        "Each hospital’s own patients under its own model; mean over organs, with its 95 % interval.",
        tables.hospital_table(comparison),
        lambda width: plots.interval_plot(rows, styles, title, width),
        keyed=True,
    )


def _against_steps(comparison: Comparison, styles: Styles) -> Figure | None:
    curves = [_dsc_curve(arm, lambda point: point.step) for arm in _trained(comparison)]
    if not curves:
        return None
    title = "Learning against optimiser steps"
    return _figure(
        "steps",
        title,
        "Validation DSC on the plan’s grid. Steps are those of one hospital; for pooled, of its one trainer. Thick: "
        "mean of the seeds; markers: the checkpoints chosen.",
        _curve_table(comparison),
        lambda width: plots.curve_plot(curves, styles, title, "optimiser steps of one hospital", width),
    )


def _against_bytes(comparison: Comparison, styles: Styles) -> Figure | None:
    moving, levels = [], {}
    for arm in _trained(comparison):
        sent = {point.bytes_sent for run in arm.runs for point in run.curve}
        if len(sent) > 1:
            moving.append(_dsc_curve(arm, lambda point: point.bytes_sent / 1e6))
        else:
            best = fmean(tables.checkpoint_dsc(run) or 0.0 for run in arm.runs)
            words = f"{arm.arm}, {num.megabytes(sum(arm.runs[0].bytes_sent.values()))}"
            levels[arm.arm] = best, words + (" of images" if arm.arm == POOLED else "")
    if not moving:
        return None
    title = "Learning against traffic"
    return _figure(
        "bytes",
        title,
        "The same against what all hospitals together have sent. Dashed levels: arms that send no models; what they "
        "send instead is written on them.",
        _curve_table(comparison),
        lambda width: plots.curve_plot(
            moving, styles, title, "MB sent by all hospitals together", width, levels=levels
        ),
    )


def _distance(comparison: Comparison, styles: Styles) -> Figure | None:
    arms = [arm for arm in _trained(comparison) if arm.arm != POOLED]
    curves = [_curve(arm.arm, arm.runs, lambda p: p.step, lambda p: p.consensus_distance) for arm in arms]
    if not curves:
        return None
    title = "Agreement of the hospitals’ models"
    return _figure(
        "agreement",
        title,
        "Root mean square distance of the hospitals’ models from their mean, relative to the mean’s norm; pooled has "
        "one model and no distance.",
        _curve_table(comparison),
        lambda width: plots.distance_plot(curves, styles, title, "optimiser steps of one hospital", width),
    )


def _schedules(results: StudyResults, styles: Styles) -> Figure | None:
    runs: dict[tuple[str, str, bool], list[float]] = {}
    for run in results.runs:
        value = tables.checkpoint_dsc(run)
        if value is not None:
            runs.setdefault((run.arm, run.schedule, run.chosen), []).append(value)
    tried = [Tried(arm, schedule, chosen, tuple(values)) for (arm, schedule, chosen), values in runs.items()]
    if not tried:
        return None
    title = "Schedules each arm tried"
    return _figure(
        "schedules",
        title,
        "Validation DSC of each run’s checkpoint, on the plan’s grid; one marker a seed. Each arm is judged by the "
        "schedule chosen here: filled markers.",
        tables.schedule_table(results.runs),
        lambda width: plots.schedule_plot(tried, styles, title, width),
    )


def _trained(comparison: Comparison) -> list[ArmFindings]:
    """The arms whose way through training is known."""
    return [arm for arm in comparison.arms if all(run.curve for run in arm.runs)]


def _curve_table(comparison: Comparison) -> Table:
    return tables.curve_table([run for arm in comparison.arms for run in arm.runs])


def _dsc_curve(arm: ArmFindings, x_of: Callable[[CurvePoint], float]) -> Curve:
    return _curve(arm.arm, arm.runs, x_of, lambda point: point.dsc, checkpoints=True)


def _curve(
    arm: str,
    runs: Sequence[RunResult],
    x_of: Callable[[CurvePoint], float],
    y_of: Callable[[CurvePoint], float],
    *,
    checkpoints: bool = False,
) -> Curve:
    lines = tuple(tuple((x_of(point), y_of(point)) for point in run.curve) for run in runs)
    by_step = [
        [point for run in runs for point in run.curve if point.step == step]
        for step in sorted({point.step for run in runs for point in run.curve})
    ]
    mean = tuple((fmean(map(x_of, points)), fmean(map(y_of, points))) for points in by_step)
    chosen = tuple(
        (x_of(point), y_of(point)) for run in runs for point in run.curve if checkpoints and point.step == run.best_step
    )
    return Curve(arm, mean, lines, chosen)
