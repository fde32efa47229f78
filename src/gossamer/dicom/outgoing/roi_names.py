"""Names of structures as planning systems take them: at most 16 characters, unique ignoring case (TG-263, 7.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, count

MAX_NAME = 16
"""TG-263 (7.2), and Eclipse."""

SIDES = ("_L", "_R")
"""The end of a name that may not be cut off: a name without its side would be that of another organ."""


def planning_names(names: Sequence[str]) -> dict[str, str]:
    """Names for a structure set.

    A name of at most 16 characters stays. A longer one loses characters before its side; where two become equal, the
    later ones end in a number before the side.

    Args:
        names: of structures, each once.

    Returns:
        The given names by those for the file, in the given order.
    """
    kept = {name.casefold() for name in names if len(name) <= MAX_NAME}
    given: dict[str, str] = {}
    seen: set[str] = set()
    for name in names:
        short = name
        if len(name) > MAX_NAME or name.casefold() in seen:
            short = next(text for text in _shortened(name) if text.casefold() not in kept | seen)
        seen.add(short.casefold())
        given[short] = name
    return given


def _shortened(name: str) -> Iterator[str]:
    """Names of at most ``MAX_NAME`` characters, the plainest first."""
    side = name[-2:] if name.upper().endswith(SIDES) else ""
    root = name.removesuffix(side)
    for end in chain([side], (f"{number}{side}" for number in count(2))):
        yield root[: MAX_NAME - len(end)].rstrip("_") + end
