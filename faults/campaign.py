"""What a campaign is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Result:
    """What came of a campaign.

    Attributes:
        figure: what was found, in one line without times: ``1,000 SIGKILLs: 0 lost, 0 twice, 0 unreadable``.
        holds: whether the promise was kept; also that the control, where there is one, failed as it must.
        counts: the numbers of that line and others worth keeping, by name.
        done: how often it was done, where the size asked for was more than there is to do.
    """

    figure: str
    holds: bool
    counts: Mapping[str, float]
    done: int | None = None


def nothing_missing() -> str | None:
    """For campaigns that need Python alone."""
    return None


@dataclass(frozen=True)
class Campaign:
    """A promise, and what is done to break it; see the package's docstring."""

    name: str
    promise: str
    what: str
    run: Callable[[int, int, Path], Result]
    small: int
    full: int
    missing: Callable[[], str | None] = nothing_missing
