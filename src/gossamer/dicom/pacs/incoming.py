"""A series on its way to the disk: a folder that nobody else reads, and that appears when all of it is there.

Law
    1. Only images that the PACS announced are taken, each once, and each says in its own header that it is that image
       of that series; all of them are of one patient.
    2. A name on the disk is a hash of a UID, never a UID.
    3. Whatever ends it early leaves nothing.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Collection, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from gossamer.atomic import flush_folder, storage_error
from gossamer.dicom.files.elements import ascii_of, bytes_of
from gossamer.dicom.files.open_file import MAX_FILE_BYTES, foreign_errors_mapped, open_dicom
from gossamer.dicom.pacs.base import MAX_INSTANCES, SeriesAtPacs, check_uids
from gossamer.errors import NotFetchedError, UnreadableImageError, UsageError

MAX_SERIES_BYTES = 2**34
"""Of all images together: twice as many as ``MAX_INSTANCES`` of 512 x 512; more would be meant to fill the disk."""

NAME_DIGITS = 32
"""Of a hash, so many that no two images ever share them."""

MAX_ITEMS = 2**18
"""Of all sequences of an image: a multi-frame CT of 16,384 frames has nine a frame. They are read in 5 s and 90 MB."""

MAX_HEADER = 2**25
"""Bytes of an image before its pixels: twice as many as a kilobyte for each frame makes. As elements of eight bytes,
which are a hundred or two in memory each, they take less than 1 GiB."""


class Incoming:
    """Images of one series; a context manager around the transfer."""

    def __init__(self, series: SeriesAtPacs, folder: Path, announced: Collection[str]) -> None:
        """Prepare to take ``announced`` SOP Instance UIDs into ``folder``.

        Raises:
            UsageError: the folder is there.
            NotFetchedError: nothing is announced, too much, or what is no UID.
        """
        if folder.exists():
            raise UsageError(
                f"wanted a new folder for series {series.key}; found one there; remove it, or give another"
            )
        if not 0 < len(announced) <= MAX_INSTANCES:
            raise NotFetchedError(
                f"wanted a series of 1 to {MAX_INSTANCES} images; found that the PACS announces {len(announced)} of "
                f"series {series.key}; look whether it is still there"
            )
        check_uids(series.study_uid, series.series_uid, *announced)
        self._series, self._folder = series, folder
        self._draft = folder.with_name(f".{folder.name}.part")
        self._missing = set(announced)
        self._count = len(self._missing)
        self._room_bytes = MAX_SERIES_BYTES
        self._patients: set[bytes] = set()

    def __enter__(self) -> Self:
        try:
            shutil.rmtree(self._draft, ignore_errors=True)  # of a process that was killed
            self._draft.mkdir(mode=0o700)
        except OSError as error:
            raise storage_error(error, "wanted a folder for a series") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._draft, ignore_errors=True)

    @property
    def draft(self) -> Path:
        """Where they lie until all are there; a private folder."""
        return self._draft

    @property
    def done(self) -> int:
        """How many images there are."""
        return self._count - len(self._missing)

    @property
    def announced(self) -> int:
        """How many there will be."""
        return self._count

    @property
    def missing(self) -> frozenset[str]:
        """SOP Instance UIDs of images that are announced and not there yet."""
        return frozenset(self._missing)

    def take(self, uid: str, pieces: Iterable[bytes]) -> None:
        """Write an image and look whether it is what it should be.

        Args:
            uid: its SOP Instance UID, one that is wanted.
            pieces: of the file, in order.

        Raises:
            NotFetchedError: it is another image, no DICOM, or larger than any image is.
            StorageError: it cannot be written.
        """
        path = self._draft / f"{hashlib.sha256(uid.encode()).hexdigest()[:NAME_DIGITS]}.dcm"
        size = 0
        try:
            with path.open("wb") as file:
                for piece in pieces:
                    size += len(piece)
                    self._room_bytes -= len(piece)
                    if self._room_bytes < 0:
                        raise NotFetchedError(
                            f"wanted a series of at most {MAX_SERIES_BYTES // 2**30} GiB; found more in series "
                            f"{self._series.key}; it is no CT, or the PACS is mistaken"
                        )
                    if size > MAX_FILE_BYTES:
                        raise NotFetchedError(
                            f"wanted images of at most {MAX_FILE_BYTES // 2**30} GiB; found more in series "
                            f"{self._series.key}; it is no CT, or the PACS is mistaken"
                        )
                    file.write(piece)
        except OSError as error:
            raise storage_error(error, "wanted to write an image") from error
        self._check(path, uid)
        self._missing.discard(uid)

    def finish(self, said: str = "") -> int:
        """Let the folder appear; returns how many images it holds.

        Args:
            said: what the PACS said of those that it did not give.

        Raises:
            NotFetchedError: some did not come.
        """
        if self._missing:
            raise NotFetchedError(
                f"wanted the {self._count} images of series {self._series.key} that the PACS announced; found "
                f"{self.done}{said and f'; it says: {said}'}; nothing was kept; try again, and ask the PACS's "
                "administrator if it stays so"
            )
        try:
            self._draft.rename(self._folder)
            flush_folder(self._folder.parent)
        except OSError as error:
            raise storage_error(error, "wanted to put a series in its place") from error
        return self._count

    def _check(self, path: Path, uid: str) -> None:
        try:
            with foreign_errors_mapped():
                tags = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "PatientID"]
                file = open_dicom(path, tags, stop_before_pixels=True, max_items=MAX_ITEMS, max_bytes=MAX_HEADER)
                self._patients.add(bytes_of(file, "PatientID").strip(b" \0"))
                found = [ascii_of(file, f"{what}InstanceUID") for what in ("Study", "Series", "SOP")]
        except UnreadableImageError as error:
            raise NotFetchedError(
                f"wanted image {self.done + 1} of series {self._series.key}; found no whole DICOM file; try again"
            ) from error
        if found != [self._series.study_uid, self._series.series_uid, uid]:
            raise NotFetchedError(
                f"wanted image {self.done + 1} of series {self._series.key}; found an image of another name; the PACS "
                "is mistaken, or something stands between; ask its administrator"
            )
        if len(self._patients) > 1:
            raise NotFetchedError(
                f"wanted images of one patient in series {self._series.key}; found two Patient IDs; nothing was kept; "
                "have the series mended at the PACS"
            )
