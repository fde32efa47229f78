"""DICOM series to contour, and their results: a folder a series, a ``whole_folder``.

A folder is called after the beginning of the SHA-256 of the Series Instance UID: the same whenever and wherever it is
contoured, and nothing in it says who the patient is. Whose it is stands in the DICOM file.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gossamer import __version__
from gossamer.atomic import whole_folder, write_atomically
from gossamer.dicom.files.headers import read_headers
from gossamer.dicom.series.ct_series import CtSeries
from gossamer.dicom.series.find import find_series
from gossamer.dicom.series.key import series_key
from gossamer.errors import DataError, UsageError
from gossamer.evaluate.predicted import RECORD_FILE, PredictionRecord
from gossamer.segment.contouring import Contoured, contour_series
from gossamer.segment.finished import each_sha256
from gossamer.segment.model_file import Model
from gossamer.segment.wanted import Wanted


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

    def sha256(self) -> str:
        """Of the SHA-256 of its files, in the order of the slices; a multi-frame file once.

        Raises:
            UnreadableImageError: one cannot be read.
        """
        files = dict.fromkeys(one.header.path for one in self.series.slices)
        return hashlib.sha256("".join(each_sha256(self.case, files)).encode()).hexdigest()


@dataclass(frozen=True)
class SeriesFound:
    """What a folder of DICOM holds.

    Attributes:
        sources: series to contour.
        refused: what their results would be called, and why others cannot be.
        unreadable: why files were left out; a series may lack them.
    """

    sources: tuple[SeriesSource, ...]
    refused: tuple[tuple[str, DataError], ...]
    unreadable: tuple[str, ...]


def find_sources(folder: Path, workers: int = 0, on_file: Callable[[int, int], None] | None = None) -> SeriesFound:
    """The CT series in a folder.

    Args:
        folder: searched with its subfolders.
        workers: processes that read, within bounds of memory and time; 0 reads in this one, without.
        on_file: called as ``on_file(done, of)`` after each file.

    Raises:
        UsageError: there is no CT in it.
        UnreadableImageError: it cannot be listed.
        WorkerError: no worker can be started.
    """
    headers = read_headers(folder, workers, on_file)
    found = find_series(headers.headers, workers=workers)
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
    refused = tuple((f"CT-{series_key(one.series_uid)}", one.error) for one in found.refused)
    return SeriesFound(tuple(sources), refused, headers.unreadable)


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
    with whole_folder(output / source.case, f"{source.case}: wanted to write its structures") as folder:
        contoured = contour_series(
            source.series,
            model,
            folder,
            wanted,
            now=now,
            name=source.key,
            on_window=on_window,
        )
        record = PredictionRecord(
            gossamer_version=__version__,
            model_sha256=model.sha256,
            image_sha256=source.sha256(),
            form=wanted.form,
            series_sha256=hashlib.sha256(source.series.series_uid.encode()).hexdigest(),
            sop_instance_uid=contoured.sop_instance_uid,
            holes=wanted.holes,
            smooth_mm=wanted.smooth_mm,
            smoothed_mm={name: round(smoothed.moved_mm, 4) for name, smoothed in contoured.smoothed.items()},
            notes=contoured.notes,
            volumes_ml=dict(contoured.volumes_ml),
            label_map=contoured.label_map,
            intended_use=model.intended_use,
        )
        write_atomically(folder / RECORD_FILE, record.model_dump_json(indent=2))
    return record, contoured
