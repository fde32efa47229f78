"""Opening DICOM files that nobody vouches for: no file is inflated or allocated beyond bounds, whatever it claims.

Messages name no file: paths and names of hospitals' files hold names of persons.
"""

from __future__ import annotations

import io
import math
import os
import stat
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError

from gossamer.errors import UnreadableImageError

MAX_FILE_BYTES = 2**31
"""No CT slice, multi-frame CT or structure set has more."""

MAX_INFLATED_BYTES = 2**28
"""Of a deflated data set: 512 slices of 512 x 512. Deflate can make a thousand bytes of one."""

LARGE_READ_BYTES = 2**20
"""A read of more is first compared with what the file still holds."""

MARK_AT, MARK = 128, b"DICM"
"""Of a file by PS3.10 7.1."""

FIRST_GROUPS = (b"\x02\x00", b"\x08\x00")
"""What an old export without that mark begins with: group 0002 or 0008, Little Endian."""

ITEM_MARK, ITEM_MARK_BIG_ENDIAN = b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00"
"""What an item of a sequence begins with (PS3.5 7.5)."""

FOREIGN_ERRORS = (
    *(InvalidDicomError, BytesLengthException, struct.error, zlib.error, OSError, EOFError, RecursionError),
    *(ValueError, TypeError, LookupError, AttributeError, NotImplementedError, OverflowError),
)
"""What pydicom is known to raise on damaged files; RecursionError on sequences nested without end."""


def open_dicom(
    path: Path,
    tags: Sequence[str] | None,
    *,
    stop_before_pixels: bool = False,
    max_items: int | None = None,
    max_bytes: int | None = None,
) -> Dataset:
    """A data set with some of its elements, read within the bounds above; inside ``foreign_errors_mapped``.

    Args:
        path: of any transfer syntax, with or without the preamble of PS3.10.
        tags: keywords of the elements to read; None reads all.
        stop_before_pixels: leave the pixels where they are.
        max_items: of all its sequences together; each takes up to a tenth of a millisecond to read. The whole file is
            searched for them, pixels too, where a few may stand by chance.
        max_bytes: that are read; of a deflated data set, that it has. What is passed over, such as long values of other
            elements, does not count.
    """
    with _BoundedReader(path, max_bytes) as file:
        if max_items is not None:
            file.check_items(max_items)
        wanted = None if tags is None else list(tags)
        return pydicom.dcmread(file, stop_before_pixels=stop_before_pixels, force=True, specific_tags=wanted)


@contextmanager
def foreign_errors_mapped() -> Iterator[None]:
    """Errors of pydicom become ours; its warnings of values against the standard are expected here and go nowhere."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            warnings.simplefilter("ignore", DeprecationWarning)  # of its own calls, where a delimiter is missing
            yield
    except FOREIGN_ERRORS as error:
        # Only the kind of error: its text may hold the path, or a piece of the file.
        raise UnreadableImageError(
            f"wanted a DICOM file; found one that cannot be read ({type(error).__name__}); copy or export it again"
        ) from error
    except MemoryError as error:
        raise UnreadableImageError(
            "wanted a DICOM file that can be read in the memory that this process may have; found that it takes more; "
            "if it is not damaged, export the series as single slices"
        ) from error


class _BoundedReader(io.BufferedReader):
    """A file that gives what it holds, not what a length in it claims, and inflates within a bound."""

    def __init__(self, path: Path, max_bytes: int | None) -> None:
        super().__init__(io.FileIO(path))
        self._size = os.fstat(self.fileno()).st_size
        self._max_items: int | None = None
        self._max_inflated_bytes = MAX_INFLATED_BYTES if max_bytes is None else min(max_bytes, MAX_INFLATED_BYTES)
        self._room_bytes = math.inf if max_bytes is None else max_bytes
        if self._size > MAX_FILE_BYTES:
            self.close()
            raise UnreadableImageError(
                f"wanted a DICOM file of at most {MAX_FILE_BYTES / 2**30:.0f} GiB; found {self._size / 2**30:.2f} GiB; "
                "export the series as single slices"
            )

    def check_items(self, at_most: int) -> None:
        """Refuse a file with more items in its sequences, before they are read; a deflated one when it is inflated."""
        self._max_items = at_most
        count = 0
        while piece := super().read(LARGE_READ_BYTES):
            count += _items_in(piece)  # one across two pieces more or less does not matter
            _check_count(count, at_most)
        self.seek(0)

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:  # pydicom reads to the end only to inflate a deflated data set (PS3.5 A.5)
            return self._deflated()
        if size > LARGE_READ_BYTES:
            size = min(size, max(0, self._size - self.tell()))
        self._room_bytes -= size
        if self._room_bytes < 0:
            raise UnreadableImageError(
                "wanted a DICOM file with less in its header; found one with more than any image has; export it again"
            )
        return super().read(size)

    def _deflated(self) -> bytes:
        """The rest of a file, if what is deflated in it is not too much."""
        most_bytes = self._max_inflated_bytes
        rest = super().read(most_bytes + LARGE_READ_BYTES)  # what cannot be made smaller grows by less
        inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(rest, most_bytes + 1)
        if self._max_items is not None:
            _check_count(_items_in(inflated), self._max_items)
        if len(inflated) > most_bytes or super().read(1):
            raise UnreadableImageError(
                f"wanted a deflated data set of at most {most_bytes / 2**20:.0f} MiB; found more; "
                "export it again as Explicit VR Little Endian"
            )
        return rest


def _items_in(content: bytes) -> int:
    return content.count(ITEM_MARK) + content.count(ITEM_MARK_BIG_ENDIAN)


def _check_count(items: int, at_most: int) -> None:
    if items > at_most:
        raise UnreadableImageError(
            f"wanted a DICOM file with at most {at_most:,} items in its sequences; found more; export fewer structures "
            "at a time"
        )


def files_below(folder: Path) -> Iterator[Path]:
    """Regular files below a folder; a loop rather than recursion, since folders may be nested deeper than the stack."""
    open_folders = [folder]
    while open_folders:
        try:
            with os.scandir(open_folders.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        open_folders.append(Path(entry.path))
                    elif stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode):  # a pipe would never end
                        yield Path(entry.path)
        except OSError as error:
            raise UnreadableImageError(
                f"wanted a folder of DICOM files; found one that cannot be listed: {error.strerror}; let it be read"
            ) from error


def start_of(path: Path) -> bytes:
    """The first bytes of a file, up to the mark."""
    with path.open("rb") as file:
        return file.read(MARK_AT + len(MARK))


def looks_like_dicom(start: bytes) -> bool:
    """Whether a file that starts so may be DICOM."""
    return start[MARK_AT:] == MARK or start[:2] in FIRST_GROUPS


def equal_files(one: Path, other: Path) -> bool:
    """Whether two files hold the same bytes; one that is gone is not equal."""
    try:
        with one.open("rb") as first, other.open("rb") as second:
            while (piece := first.read(LARGE_READ_BYTES)) == second.read(LARGE_READ_BYTES):
                if not piece:
                    return True
    except OSError:
        pass
    return False
