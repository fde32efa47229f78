"""Words that messages have in common."""

from __future__ import annotations

from collections.abc import Sequence

FEW = 5
"""Named in a message: enough to look at, and a line stays a line; more are counted."""


def counted(number: int, what: str) -> str:
    """``1 slice``, ``2 slices``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def first_few(texts: Sequence[str], few: int = FEW) -> str:
    """The first texts of several, and how many more there are: ``a, b and 3 more``."""
    more = len(texts) - few
    return ", ".join(texts[:few]) + (f" and {more} more" if more > 0 else "")


def reason(error: Exception) -> str:
    """What an error says, without the path that the operating system's errors hold."""
    return error.strerror or "" if isinstance(error, OSError) else str(error)
