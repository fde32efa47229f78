"""DICOM series to contour, and their results: a folder a series, which appears by one rename when all of it is there.

A folder is called after the beginning of the SHA-256 of the Series Instance UID: the same whenever and wherever it is
contoured, and nothing in it says who the patient is. Whose it is stands in the DICOM file.
"""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gossamer import __version__
from gossamer.atomic import flush_folder, storage_error, write_atomically
from gossamer.data.case_folder import file_sha256
from gossamer.dicom.files.headers import read_headers
from gossamer.dicom.series.find import CtSeries, find_series
from gossamer.dicom.series.key import series_key
from gossamer.errors import UnreadableImageError, UsageError
from gossamer.evaluate.predicted import RECORD_FILE, PredictionRecord, read_record
from gossamer.segment.contouring import Contoured, Form, contour_series
from gossamer.segment.model_file import Model
from gossamer.segment.output import stale_error


@dataclass(frozen=True, eq=False)
class SeriesSource:
    """A series to contour.

    Attributes:
        case: what its result is called, ``CT-`` and the series' key; stacks of one series are numbered from the second.
        series: the stack.
    """

    case: str
    series: CtSeries

    @property
    def key(self) -> str:
        """Part of its file's name."""
        return self.case.removeprefix("CT-")


@dataclass(frozen=True)
class SeriesFound:
    """What a folder of DICOM holds.

    Attributes:
        sources: series to contour.
        refused: why others cannot be, by what their results would be called.
        unreadable: why files were left out; a series may lack them.
    """

    sources: tuple[SeriesSource, ...]
    refused: tuple[tuple[str, str], ...]
    unreadable: tuple[str, ...]


@dataclass(frozen=True)
class Wanted:
    """What to write of each series; as for ``contour_series``."""

    form: Form
    smooth_mm: float = 0.0
    label_map: bool = False


def find_sources(folder: Path, on_file: Callable[[int, int], None] | None = None) -> SeriesFound:
    """The CT series in a folder.

    Args:
        folder: searched with its subfolders.
        on_file: called as ``on_file(done, of)`` after each file.

    Raises:
        UsageError: there is no CT in it.
        UnreadableImageError: it cannot be listed.
    """
    headers = read_headers(folder, on_file=on_file)
    found = find_series(headers.headers)
    if not found.series and not found.refused:
        raise UsageError(
            f"wanted CTs; found no NIfTI file, {len(headers.headers)} DICOM objects that are no CT images, and "
            f"{headers.not_dicom} other files at the path given with -i; give a file or folder of CTs as NIfTI, a "
            "dataset, or a folder of DICOM series"
        )
    stacks, sources = Counter[str](), []
    for series in found.series:
        key = series_key(series.series_uid)
        stacks[key] += 1
        sources.append(SeriesSource(f"CT-{key}" + (f"-{stacks[key]}" if stacks[key] > 1 else ""), series))
    refused = tuple((f"CT-{series_key(one.series_uid)}", one.reason) for one in found.refused)
    return SeriesFound(tuple(sources), refused, headers.unreadable)


def is_series_done(output: Path, source: SeriesSource, model: Model, wanted: Wanted) -> bool:
    """Whether a series was contoured before: from the same files, by this model, as it is wanted.

    Raises:
        UsageError: something else lies where the result belongs.
        UnreadableImageError: a file of the series is gone.
    """
    folder = output / source.case
    if not folder.exists():
        return False
    record = read_record(folder)
    if (
        record is None
        or record.model_sha256 != model.sha256
        or record.image_sha256 != _files_sha256(source.series)
        or (record.form, record.smooth_mm) != (wanted.form, wanted.smooth_mm)
        or (wanted.label_map and record.label_map is None)
    ):
        raise stale_error(source.case)
    return True


def write_contoured(
    output: Path,
    source: SeriesSource,
    model: Model,
    wanted: Wanted,
    *,
    now: datetime,
    on_window: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[PredictionRecord, Contoured]:
    """Contour a series into a folder of its own.

    Args:
        output: folder that gets a folder for the series.
        source: the series.
        model: its network is on the device that shall run it.
        wanted: what to write.
        now: date and time that a structure set says.
        on_window: told after each window how many of how many are done.

    Returns:
        What ``prediction.json`` says, and what was written.

    Raises:
        DataError: as for ``contour_series``; nothing is left.
        StorageError: the result cannot be written (``DiskFullError`` where there is no room).
    """
    draft = output / f".{source.case}.part"
    try:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        contoured = contour_series(
            source.series,
            model,
            draft,
            form=wanted.form,
            now=now,
            name=source.key,
            smooth_mm=wanted.smooth_mm,
            label_map=wanted.label_map,
            on_window=on_window,
        )
        record = PredictionRecord(
            gossamer_version=__version__,
            model_sha256=model.sha256,
            image_sha256=_files_sha256(source.series),
            form=wanted.form,
            series_sha256=hashlib.sha256(source.series.series_uid.encode()).hexdigest(),
            sop_instance_uid=contoured.sop_instance_uid,
            smooth_mm=wanted.smooth_mm,
            smoothed_mm={name: round(smoothed.moved_mm, 4) for name, smoothed in contoured.smoothed.items()},
            notes=contoured.notes,
            volumes_ml=dict(contoured.volumes_ml),
            label_map=contoured.label_map,
            intended_use=model.intended_use,
        )
        write_atomically(draft / RECORD_FILE, record.model_dump_json(indent=2))
        draft.rename(output / source.case)
        flush_folder(output)
    except OSError as error:
        raise storage_error(error, f"{source.case}: wanted to write its structures") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return record, contoured


def _files_sha256(series: CtSeries) -> str:
    """Of the SHA-256 of its files, in the order of the slices; a multi-frame file once."""
    try:
        files = [file_sha256(path) for path in dict.fromkeys(one.header.path for one in series.slices)]
    except OSError as error:
        raise UnreadableImageError(
            f"wanted the files of the series; found one that cannot be read ({error.strerror}); leave files in place "
            "during a prediction"
        ) from error
    return hashlib.sha256("".join(files).encode()).hexdigest()
