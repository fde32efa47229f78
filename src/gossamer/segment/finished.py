"""What was predicted before: a result counts if it is of the same files, by the same model, and as it is wanted.

Another result in its place is never passed over nor replaced: a stale contour looks like a fresh one.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from gossamer.data.case_folder import file_sha256
from gossamer.errors import UnreadableImageError, UsageError
from gossamer.evaluate.predicted import PredictionRecord, read_record
from gossamer.segment.model_file import Model
from gossamer.segment.wanted import Wanted


class Source(Protocol):
    """A CT to predict."""

    @property
    def case(self) -> str:
        """What its result is called."""

    def sha256(self) -> str:
        """Of what its files hold; UnreadableImageError where they cannot be read."""


def finished_record(output: Path, source: Source, model: Model, wanted: Wanted) -> PredictionRecord | None:
    """What ``prediction.json`` says of a CT that was predicted before; None if nothing lies in its place.

    Args:
        output: folder with a folder for each case.
        source: the CT.
        model: that is to predict it.
        wanted: what is to be written. A label map that nobody asks for now may be there.

    Raises:
        UsageError: something else lies in its place.
        UnreadableImageError: a file of the CT cannot be read.
    """
    folder = output / source.case
    if not folder.exists():
        return None
    record = read_record(folder)
    if (
        record is None
        or record.model_sha256 != model.sha256
        or (record.form, record.smooth_mm, record.holes) != (wanted.form, wanted.smooth_mm, wanted.holes)
        or (wanted.label_map and record.label_map is None)
        or record.image_sha256 != source.sha256()
    ):
        raise UsageError(
            f"case {source.case}: wanted an empty place for the result; found one of another model, image or form, in "
            "the output folder; give another -o, or delete that result"
        )
    return record


def each_sha256(case: str, paths: Iterable[Path]) -> list[str]:
    """Of a CT's files.

    Raises:
        UnreadableImageError: one cannot be read.
    """
    try:
        return [file_sha256(path) for path in paths]
    except OSError as error:
        raise UnreadableImageError(
            f"case {case}: wanted its files; found one that cannot be read ({error.strerror}); leave files in place "
            "during a prediction"
        ) from error
