"""The few shapes that the report's figures are made of, as inline SVG.

Colours are not here: an arm's shapes carry the class ``s0`` … ``s7``, to which the page's style gives a colour for
light, dark and paper. Each arm has a marker of its own shape as well, for readers and printers without colour.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

STYLES = 8
"""Distinct pairs of colour and marker."""

MARKER_PX = 4.5
"""Radius of a marker."""

Point = tuple[float, float]

_UNIT_MARKERS: tuple[tuple[Point, ...], ...] = (
    ((-0.9, 0.8), (0.9, 0.8), (0, -1)),  # triangle
    ((-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)),  # square
    ((0, -1.15), (1.15, 0), (0, 1.15), (-1.15, 0)),  # diamond
    (),  # a circle
    ((-0.9, -0.8), (0.9, -0.8), (0, 1)),  # triangle, point down
    tuple((math.sin(k * 2 * math.pi / 5), -math.cos(k * 2 * math.pi / 5)) for k in range(5)),  # pentagon
    ((-1, -0.35), (-0.35, -0.35), (-0.35, -1), (0.35, -1), (0.35, -0.35), (1, -0.35),
     (1, 0.35), (0.35, 0.35), (0.35, 1), (-0.35, 1), (-0.35, 0.35), (-1, 0.35)),  # plus
    ((-0.45, -1.1), (0.45, -1.1), (0.45, 1.1), (-0.45, 1.1)),  # upright bar
)  # fmt: skip


@dataclass(frozen=True)
class Axis:
    """A linear scale from values to pixels.

    Attributes:
        low, high: values at the ends.
        start, end: pixels at the ends.
    """

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """The pixel of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, about: int) -> tuple[float, ...]:
        """Round values along the axis, about so many."""
        step = round_step((self.high - self.low) / about)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return tuple(k * step for k in range(first, last + 1))


def round_step(step: float) -> float:
    """The nearest of 1, 2 or 5 times a power of ten that is no smaller."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= step * (1 - 1e-9))


def widened(values: Iterable[float], step: float) -> tuple[float, float]:
    """The range of the values, out to the next multiples of ``step``; nan is passed over."""
    known = [value for value in values if not math.isnan(value)] or [0.0]
    low, high = math.floor(min(known) / step), math.ceil(max(known) / step)
    return low * step, max(high, low + 1) * step


class Drawing:
    """Shapes in the order they are drawn.

    Args:
        width, height: in pixels.
        title: what it shows, for those who hear the page.
        description: what there is to see.
    """

    def __init__(self, width: float, height: float, title: str, description: str) -> None:
        self.width = width
        self._head = Markup(
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" role="img" style="max-width:{}px">'
            "<title>{}</title><desc>{}</desc>"
        ).format(_px(width), _px(height), _px(width * 1.25), title, description)
        self._shapes: list[Markup] = []

    def text(self, x: float, y: float, content: str, css: str = "", anchor: str = "start") -> None:
        """A line of words; ``anchor`` is start, middle or end."""
        shape = Markup('<text x="{}" y="{}" class="{}" text-anchor="{}">{}</text>')
        self._shapes.append(shape.format(_px(x), _px(y), css, anchor, content))

    def line(self, start: Point, end: Point, css: str) -> None:
        """A straight line."""
        self.polyline((start, end), css)

    def polyline(self, points: Sequence[Point], css: str) -> None:
        """A line through points."""
        path = "L".join(f"{_px(x)} {_px(y)}" for x, y in points)
        self._shapes.append(Markup('<path class="{}" d="M{}"/>').format(css, path))

    def marker(self, at: Point, style: int, tip: str = "", *, css: str = "mark") -> None:
        """An arm's marker; ``tip`` shows when the pointer rests on it."""
        self._shapes.append(_marker(at, style, tip, css))

    def markup(self) -> Markup:
        """The whole figure."""
        return self._head + Markup("").join(self._shapes) + Markup("</svg>")


def symbol(style: int) -> Markup:
    """An arm's marker among words."""
    shape = _marker((6, 6), style, "", "mark")
    return Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" class="symbol" viewBox="0 0 12 12" aria-hidden="true">{}</svg>'
    ).format(shape)


def _marker(at: Point, style: int, tip: str, css: str) -> Markup:
    note = Markup("<title>{}</title>").format(tip) if tip else ""
    corners = _UNIT_MARKERS[style]
    if not corners:
        circle = Markup('<circle class="{} s{}" cx="{}" cy="{}" r="{}">{}</circle>')
        return circle.format(css, style, _px(at[0]), _px(at[1]), MARKER_PX, note)
    path = "L".join(f"{_px(at[0] + MARKER_PX * x)} {_px(at[1] + MARKER_PX * y)}" for x, y in corners)
    return Markup('<path class="{} s{}" d="M{}Z">{}</path>').format(css, style, path, note)


def _px(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
