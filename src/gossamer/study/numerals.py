"""How the report and the terminal write numbers, so that both say the same: ``.705 [.690, .720]``, ``12 MB``.

A dash stands for what does not exist. Minus is the minus sign (U+2212), as wide as a digit.
"""

from __future__ import annotations

import math

from gossamer.evaluate.intervals import Interval

ABSENT = "–"
MINUS = "\u2212"


def score(value: float | None) -> str:
    """A score of at most one in size, three decimals and no leading zero: ``.705``, ``1.000``, ``−.044``."""
    if value is None or math.isnan(value):
        return ABSENT
    digits = f"{abs(value):.3f}"
    sign = MINUS if value < 0 and float(digits) else ""
    return sign + digits.removeprefix("0")


def gain(value: float | None) -> str:
    """A difference of scores, with its sign: ``+.052``, ``−.044``, ``.000``."""
    text = score(value)
    return text if text in {ABSENT, ".000"} or text.startswith(MINUS) else "+" + text


def score_bounds(interval: Interval) -> str:
    """The bounds of a score: ``[.690, .720]``."""
    return _bounds(score(interval.low), score(interval.high))


def gain_bounds(interval: Interval) -> str:
    """The bounds of a difference: ``[−.060, +.012]``."""
    return _bounds(gain(interval.low), gain(interval.high))


def millimetres(value: float | None) -> str:
    """A length without its unit, one decimal: ``6.2``."""
    return ABSENT if value is None or math.isnan(value) else f"{value:.1f}"


def millimetre_bounds(interval: Interval) -> str:
    """The bounds of a length: ``[5.1, 7.4]``."""
    return _bounds(millimetres(interval.low), millimetres(interval.high))


def megabytes(size_bytes: float) -> str:
    """A volume of traffic in MB (10^6 bytes): ``0 MB``, ``<0.1 MB``, ``3.4 MB``, ``1,512 MB``."""
    size = size_bytes / 1e6
    if 0 < size < 0.05:
        return "<0.1 MB"
    return f"{size:.1f} MB" if 0 < size < 9.95 else f"{size:,.0f} MB"


def count(number: float) -> str:
    """A whole number with its thousands apart: ``1,400``."""
    return f"{number:,.0f}"


def duration(seconds: float) -> str:
    """A time in the two units that matter: ``48 s``, ``10 min 40 s``, ``3 h 1 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"


def _bounds(low: str, high: str) -> str:
    return "" if ABSENT in {low, high} else f"[{low}, {high}]"
