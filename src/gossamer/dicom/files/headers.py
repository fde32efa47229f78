"""Headers of all DICOM files below a folder.

Law
    1. A file costs at most itself: what cannot be read becomes a count or a message, never the end of the walk. No file
       is inflated, allocated or nested beyond the bounds of ``open_file``, whatever it claims, and workers give none
       more than those below.
    2. One SOP Instance UID is one image (PS3.3 C.12.1): equal files are taken once, unequal ones are marked as
       contradicted, and whoever would use them refuses.

Messages name a file by its place in the order of paths: paths hold names of persons.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from gossamer.bounded_pool import Bounds, Lost, outcomes
from gossamer.dicom.files.header import Header, read_header
from gossamer.dicom.files.open_file import equal_files, files_below
from gossamer.errors import UnreadableImageError

BOUNDS = Bounds(memory_bytes=2**30, seconds=10.0)
"""Of a worker that reads a header. A large one, a multi-frame CT's of 2,000 frames, takes 60 MiB and 0.5 s."""

FILES_AT_A_TIME = 64
"""At most; a header takes a worker about as long as a process takes to be asked for one."""


@dataclass(frozen=True)
class FolderHeaders:
    """What a folder holds.

    Attributes:
        headers: of its DICOM objects, in the order of their paths.
        not_dicom: files that are something else.
        unreadable: why each DICOM file was left out that cannot be read; a series may lack it.
        repeated: files left out because an equal one was taken.
    """

    headers: tuple[Header, ...]
    not_dicom: int
    unreadable: tuple[str, ...]
    repeated: int


def read_headers(folder: Path, workers: int = 0, on_file: Callable[[int, int], None] | None = None) -> FolderHeaders:
    """Read the headers of all DICOM files below a folder.

    Args:
        folder: searched with its subfolders; links and what is no regular file are passed over.
        workers: processes that read, within bounds of memory and time; 0 reads in this one, without.
        on_file: called as ``on_file(done, of)`` after each file.

    Raises:
        UnreadableImageError: the folder, or one below it, cannot be listed.
        WorkerError: no worker can be started.
    """
    paths = sorted(files_below(folder))
    headers, unreadable, not_dicom = [], [], 0
    at_a_time = max(1, min(FILES_AT_A_TIME, len(paths) // (4 * max(1, workers))))
    found_in = outcomes(_outcome, paths, lambda _path: BOUNDS, workers=workers, at_a_time=at_a_time)
    for done, found in enumerate(found_in, start=1):
        if isinstance(found, Header):
            headers.append(found)
        elif isinstance(found, Lost):
            unreadable.append(
                f"file {done} of {len(paths)}, in the order of their paths: wanted a file whose header can be read; "
                f"found that {found.why}; export it again, or take it out of the folder"
            )
        elif found:
            unreadable.append(f"file {done} of {len(paths)}, in the order of their paths: {found}")
        else:
            not_dicom += 1
        if on_file:
            on_file(done, len(paths))
    once = without_repeated(headers)
    return FolderHeaders(once, not_dicom, tuple(unreadable), len(headers) - len(once))


def by_patient(headers: Iterable[Header], sop_classes: Container[str]) -> dict[str, list[Header]]:
    """Headers of some SOP classes by what tells their patients apart, see ``Header.whose``; never shown."""
    patients: dict[str, list[Header]] = {}
    for header in headers:
        if header.sop_class_uid in sop_classes:
            patients.setdefault(header.whose, []).append(header)
    return patients


def without_repeated(headers: Iterable[Header]) -> tuple[Header, ...]:
    """Headers with each SOP Instance UID once where the files are equal; else all of its headers, marked (law 2)."""
    by_uid: dict[str, list[Header]] = {}
    for header in headers:
        by_uid.setdefault(header.sop_instance_uid, []).append(header)
    once: list[Header] = []
    for same in by_uid.values():
        equal = all(equal_files(same[0].path, other.path) for other in same[1:])
        once += same[:1] if equal else [replace(header, contradicted=True) for header in same]
    return tuple(once)


def _outcome(path: Path) -> Header | str | None:
    try:
        return read_header(path)
    except UnreadableImageError as error:
        return str(error)
