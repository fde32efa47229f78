"""The report's figures: each a function of numbers and a width, so that a wide and a narrow page both read well."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from markupsafe import Markup

from gossamer.evaluate.intervals import Interval
from gossamer.study import numerals as num
from gossamer.study.report.svg import Axis, Drawing, Point, widened

WIDE_PX = 540
NARROW_PX = 346
"""What is left of a telephone's 390 pixels between the page's margins."""

CURVES_PX = 280.0
"""Height of the plots of curves."""

TICK_PX = 38.0
"""From one score on an axis to the next, at least."""

LINE_PX = 14.0
"""From one line of words to the next."""

LETTER_PX = 8.5
"""Width of a bold letter, in a wide typeface."""

FLOOR = 1e-8
"""Distances of models below this are rounding."""

Styles = Mapping[str, int]
"""The style of each arm."""


@dataclass(frozen=True)
class Row:
    """One row of an interval plot: an organ or a hospital.

    Attributes:
        label: its name.
        note: written beneath, for example how many patients.
        marks: interval of each arm, by arm.
    """

    label: str
    note: str
    marks: Mapping[str, Interval]


@dataclass(frozen=True)
class Curve:
    """One arm's way through training.

    Attributes:
        arm: its name.
        points: mean over seeds.
        seeds: each seed's own line.
        chosen: each seed's chosen checkpoint; empty where there is none to show.
    """

    arm: str
    points: tuple[Point, ...]
    seeds: tuple[tuple[Point, ...], ...]
    chosen: tuple[Point, ...] = ()


@dataclass(frozen=True)
class Tried:
    """One schedule that an arm tried.

    Attributes:
        values: the score of each seed's checkpoint.
    """

    arm: str
    schedule: str
    chosen: bool
    values: tuple[float, ...]


def interval_plot(rows: Sequence[Row], styles: Styles, title: str, width: float = WIDE_PX) -> Markup:
    """Points with 95 % intervals: a row an organ or hospital, in each row the arms one under the other."""
    left = min(8 + LETTER_PX * max(len(words) for row in rows for words in (row.label, row.note)), width / 2)
    right, top = width - 20, 26.0
    pitch = 12.0 if len(rows) <= 12 else 9.0
    row_height = max(34.0, pitch * (len(styles) + 1))
    bottom = top + row_height * len(rows)
    bounds = [value for row in rows for mark in row.marks.values() for value in (mark.low, mark.high, mark.estimate)]
    axis = Axis(*widened(bounds, 0.1), left, right)
    drawing = Drawing(width, bottom + 12, title, "Points are means, lines their 95 % intervals; numbers in the table.")
    _grid_x(drawing, axis, top, bottom)
    for index, row in enumerate(rows):
        y = top + row_height * index
        drawing.line((0, y), (right, y), "rule")
        drawing.text(0, y + row_height / 2 - 1, _shortened(row.label, left), "label")
        drawing.text(0, y + row_height / 2 + 13, row.note, "quiet")
        first = y + (row_height - pitch * (len(styles) - 1)) / 2
        for place, (arm, style) in enumerate(styles.items()):
            mark = row.marks.get(arm)
            if mark is not None and not math.isnan(mark.estimate):
                at = first + pitch * place
                tip = f"{row.label}, {arm}: {num.score(mark.estimate)} {num.score_bounds(mark)}"
                drawing.line((axis.at(mark.low), at), (axis.at(mark.high), at), f"span s{style}")
                drawing.marker((axis.at(mark.estimate), at), style, tip)
    drawing.line((0, bottom), (right, bottom), "rule")
    return drawing.markup()


def curve_plot(
    curves: Sequence[Curve],
    styles: Styles,
    title: str,
    x_label: str,
    width: float = WIDE_PX,
    *,
    levels: Mapping[str, tuple[float, str]] = MappingProxyType({}),
) -> Markup:
    """DSC against what was spent: thin lines are seeds, the thick one their mean, markers the chosen checkpoints.

    Args:
        curves: of the arms that move along x.
        styles: of the arms.
        title: what it shows.
        x_label: what x is, with its unit.
        width: in pixels.
        levels: height and words of the arms that do not move along x, drawn as level lines.
    """
    frame = _Frame.of(width, curves)
    drawing = Drawing(width, CURVES_PX, title, "Each arm's line is named at its end; numbers in the table.")
    heights = [y for curve in curves for line in curve.seeds for _, y in line]
    y_axis = Axis(*widened([*heights, *(level for level, _ in levels.values())], 0.1), frame.bottom, frame.top)
    _grid_y(drawing, y_axis, frame, 5, num.score)
    x_axis = _x_axis(drawing, curves, frame, x_label)
    names = []
    for arm, (level, words) in levels.items():
        y = y_axis.at(level)
        drawing.line((frame.left, y), (frame.right, y), f"level s{styles[arm]}")
        names.append(_Name(frame.left + 6, y - 5, words, styles[arm]))
    names += _draw_curves(drawing, curves, styles, lambda point: (x_axis.at(point[0]), y_axis.at(point[1])))
    _write_names(drawing, names, frame.bottom)
    return drawing.markup()


def distance_plot(curves: Sequence[Curve], styles: Styles, title: str, x_label: str, width: float = WIDE_PX) -> Markup:
    """How far the sites' models lie apart, on a logarithmic scale; what is nearer than the floor lies on it."""
    frame = _Frame.of(width, curves)
    drawing = Drawing(width, CURVES_PX, title, "Each arm's line is named at its end; numbers in the table.")

    def power(distance: float) -> float:
        return math.log10(max(distance, FLOOR))

    powers = [power(y) for curve in curves for line in curve.seeds for _, y in line]
    y_axis = Axis(*widened(powers, 1.0), frame.bottom, frame.top)
    _grid_y(drawing, y_axis, frame, 4, lambda tick: f"{10.0**tick:g}" if tick > -3 else f"{10.0**tick:.0e}")
    x_axis = _x_axis(drawing, curves, frame, x_label)
    names = _draw_curves(drawing, curves, styles, lambda point: (x_axis.at(point[0]), y_axis.at(power(point[1]))))
    _write_names(drawing, names, frame.bottom)
    return drawing.markup()


def schedule_plot(tried: Sequence[Tried], styles: Styles, title: str, width: float = WIDE_PX) -> Markup:
    """A row a schedule: filled markers for the chosen one, hollow for those tried beside it; one marker a seed."""
    row_height, top, left, right = 50.0, 26.0, 14.0, width - 20
    bottom = top + row_height * len(tried)
    drawing = Drawing(width, bottom + 12, title, "One marker a seed; filled where the schedule was chosen.")
    axis = Axis(*widened([value for row in tried for value in row.values], 0.05), left, right)
    _grid_x(drawing, axis, top, bottom)
    for index, row in enumerate(tried):
        y = top + row_height * index
        drawing.line((0, y), (right, y), "rule")
        drawing.text(0, y + 15, f"{row.arm}, chosen" if row.chosen else row.arm, "label halo" if row.chosen else "halo")
        drawing.text(0, y + 29, row.schedule, "quiet halo")
        for value in row.values:
            tip = f"{row.arm}, {row.schedule}: {num.score(value)}"
            drawing.marker((axis.at(value), y + 40), styles[row.arm], tip, css="mark" if row.chosen else "hollow")
    drawing.line((0, bottom), (right, bottom), "rule")
    return drawing.markup()


def difference_glyph(interval: Interval, reach: float, style: int, title: str) -> Markup:
    """A difference beside zero, on an axis from −reach to reach."""
    drawing = Drawing(240, 30, title, "The marker is the difference, the upright line is zero.")
    axis = Axis(-reach, reach, 8, 232)
    drawing.line((8, 15), (232, 15), "grid")
    drawing.line((axis.at(0), 4), (axis.at(0), 26), "axis")
    drawing.line((axis.at(interval.low), 15), (axis.at(interval.high), 15), f"span s{style}")
    drawing.marker((axis.at(interval.estimate), 15), style)
    return drawing.markup()


@dataclass(frozen=True)
class _Frame:
    """Where a curve plot's axes lie."""

    left: float
    right: float
    top: float
    bottom: float

    @classmethod
    def of(cls, width: float, curves: Sequence[Curve]) -> _Frame:
        """Room at the right for the longest name."""
        room = 14 + LETTER_PX * max((len(curve.arm) for curve in curves), default=0)
        return cls(left=42, right=width - min(room, width / 3), top=22, bottom=CURVES_PX - 44)


@dataclass(frozen=True)
class _Name:
    """An arm's name at a place, which may have to make room for others."""

    x: float
    y: float
    words: str
    style: int


def _draw_curves(
    drawing: Drawing, curves: Sequence[Curve], styles: Styles, place: Callable[[Point], Point]
) -> list[_Name]:
    """Draw the curves; returns their names, to be written beside their ends."""
    names = []
    for curve in curves:
        style = styles[curve.arm]
        if len(curve.seeds) > 1:
            for line in curve.seeds:
                drawing.polyline([place(point) for point in line], f"thin s{style}")
        mean = [place(point) for point in curve.points]
        drawing.polyline(mean, f"curve s{style}")
        for point in curve.chosen:
            tip = f"{curve.arm}: checkpoint at {num.count(point[0])}, {num.score(point[1])}"
            drawing.marker(place(point), style, tip)
        names.append(_name_beside(mean[-1], curve.arm, style, drawing.width))
    return names


def _name_beside(end: Point, arm: str, style: int, width: float) -> _Name:
    """To the right of a curve's end; above it where the drawing is too narrow."""
    x, y = end
    if x + 9 + LETTER_PX * len(arm) <= width:
        return _Name(x + 9, y + 4, arm, style)
    return _Name(width - LETTER_PX * len(arm), y - 9, arm, style)


def _write_names(drawing: Drawing, names: Sequence[_Name], bottom: float) -> None:
    """Write names from top to bottom, pushing each below those it would cover; at ``bottom`` they pile up again."""
    downwards: list[_Name] = []
    for name in sorted(names, key=lambda name: name.y):
        above = [other.y + LINE_PX for other in downwards if _side_by_side(name, other)]
        downwards.append(replace(name, y=max([name.y, *above])))
    upwards: list[_Name] = []
    for name in reversed(downwards):
        below = [other.y - LINE_PX for other in upwards if _side_by_side(name, other)]
        upwards.append(replace(name, y=min([name.y, bottom, *below])))
    for name in reversed(upwards):
        drawing.text(name.x, name.y, name.words, f"name halo s{name.style}")


def _side_by_side(name: _Name, other: _Name) -> bool:
    """Whether they would cover each other if they stood at the same height."""
    return abs(other.x - name.x) < LETTER_PX * max(len(name.words), len(other.words))


def _shortened(words: str, room: float) -> str:
    letters = int(room / LETTER_PX)
    return words if len(words) <= letters else words[: letters - 1] + "…"


def _grid_x(drawing: Drawing, axis: Axis, top: float, bottom: float) -> None:
    for tick in axis.ticks(int((axis.end - axis.start) / TICK_PX)):
        drawing.line((axis.at(tick), top - 4), (axis.at(tick), bottom), "grid")
        drawing.text(axis.at(tick), top - 10, num.score(tick), "quiet", "middle")


def _grid_y(drawing: Drawing, axis: Axis, frame: _Frame, about: int, words: Callable[[float], str]) -> None:
    for tick in axis.ticks(about):
        drawing.line((frame.left, axis.at(tick)), (frame.right, axis.at(tick)), "grid")
        drawing.text(frame.left - 6, axis.at(tick) + 4, words(tick), "quiet", "end")


def _x_axis(drawing: Drawing, curves: Sequence[Curve], frame: _Frame, label: str) -> Axis:
    furthest = max((x for curve in curves for x, _ in curve.points), default=0.0)
    axis = Axis(0, furthest or 1.0, frame.left, frame.right)
    drawing.line((frame.left, frame.bottom), (frame.right, frame.bottom), "axis")
    for tick in axis.ticks(5):
        x = axis.at(tick)
        drawing.line((x, frame.bottom), (x, frame.bottom + 4), "axis")
        drawing.text(x, frame.bottom + 17, f"{tick:,.10g}", "quiet", "middle")
    drawing.text((frame.left + frame.right) / 2, frame.bottom + 36, label, "quiet", "middle")
    return axis
