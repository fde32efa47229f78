"""What the pages have in common: templates, and how numbers are written."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from gossamer import __version__
from gossamer.units import ZYX

HERE = Path(__file__).parent

REPORT = HERE.parent / "study" / "report"
"""Whose style the pages share."""


@cache
def environment() -> Environment:
    """Templates; all text is escaped, and a value that is missing is an error."""
    made = Environment(
        loader=FileSystemLoader([HERE, REPORT]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["version"] = __version__
    made.filters.update(ml=millilitres, hu=hounsfield, triple=triple, written=written)
    return made


def written(value: float, unit: str) -> str:
    """A value of a unit: ml, hu, mm (two decimals) or whole mm."""
    if unit == "ml":
        return millilitres(value)
    if unit == "hu":
        return hounsfield(value)
    return f"{value:.{2 if unit == 'mm' else 0}f}"


def millilitres(volume_ml: float) -> str:
    """Two digits where it is small: ``0.42``, ``31.2``, ``1,480``."""
    return f"{volume_ml:.2f}" if volume_ml < 1 else f"{volume_ml:.1f}" if volume_ml < 100 else f"{volume_ml:,.0f}"


def hounsfield(value: float) -> str:
    """A whole number, with a minus as wide as a digit."""
    return str(round(value)).replace("-", "\u2212")


def triple(values: ZYX, digits: int = 1) -> str:
    """Lengths along x, y, z, as people say them: ``0.98 × 0.98 × 3.00``."""
    return " × ".join(f"{value:.{digits}f}" for value in reversed(values))
