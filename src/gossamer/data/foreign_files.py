"""What files from outside may take of memory and time, and how one thing is read of them: apart, within that.

Law: what is read is foreign, and costs at most itself. What exceeds its bounds, or kills the process that reads it,
cannot be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from gossamer.bounded_pool import Bounds, Lost, outcomes
from gossamer.errors import UnreadableImageError

Job = TypeVar("Job")
Result = TypeVar("Result")

FEWEST_BYTES, SHORTEST_S = 3 * 2**29, 10.0
"""Of memory and time, for any case, however small its files are."""

BYTES_A_BYTE, SECONDS_A_BYTE = 128, 2e-6
"""More of both for each byte of a case's files. A compressed CT has about a byte a voxel; its voxels and a hundred
masks take 106 in memory. What is compressed further, as a bomb is, gets no more than its files deserve. A DICOM CT of
600 slices of 512 x 512 with 30 organs takes 3.2 GiB and 53 s of the 41 GiB and 11 min that its 315 MB give it."""


def bounds(files: Iterable[Path]) -> Bounds:
    """What a case may take that is made from these files."""
    size = 0
    for path in dict.fromkeys(files):
        with suppress(OSError):  # whoever reads it says which is missing
            size += path.stat().st_size
    return Bounds(FEWEST_BYTES + BYTES_A_BYTE * size, SHORTEST_S + SECONDS_A_BYTE * size)


def read_apart(function: Callable[[Job], Result], job: Job, files: Iterable[Path], what: str) -> Result:
    """What a function reads, in a process of its own.

    Args:
        function: of a module, or a ``partial`` of one: it goes to another process, as do its argument and result.
        job: for the function.
        files: that it reads; their size is what it may take.
        what: they hold, for messages, such as "a dose".

    Raises:
        UnreadableImageError: that takes too much memory or time, or kills its process.
        WorkerError: no process can be started.
        GossamerError: as for the function.
    """
    [outcome] = outcomes(function, [job], lambda _job: bounds(files), workers=1)
    if isinstance(outcome, Lost):
        raise too_much(what, outcome)
    return outcome


def too_much(what: str, lost: Lost) -> UnreadableImageError:
    """The error of what exceeds its bounds."""
    return UnreadableImageError(
        f"wanted {what} that can be read within its bounds; found that {lost.why}; export its files again, or free "
        "memory"
    )
