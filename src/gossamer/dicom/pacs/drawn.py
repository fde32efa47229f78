"""Whether what a watch would draw is there already, or is fit to be stored.

Law: structure sets of the PACS are foreign: each is read apart, within bounds of memory and time, and one that cannot
be read so is not ours.
"""

from __future__ import annotations

from pathlib import Path

from gossamer.bounded_pool import Bounds, outcomes
from gossamer.data.foreign_files import bounds
from gossamer.dicom.outgoing.made_by import read_made_by
from gossamer.dicom.pacs.base import Pacs, Query, SeriesAtPacs
from gossamer.dicom.rtstruct.read import read_structure_set
from gossamer.errors import EmptyMaskError, GeometryMismatchError, UnreadableImageError

MOST_SETS = 50
"""Structure sets of a study that are looked into; a study that was replanned for years has fewer."""


def is_drawn(pacs: Pacs, series: SeriesAtPacs, model_hash: str, workplace: Path) -> bool:
    """Whether the series' study holds a structure set that this model drew on this series.

    Args:
        pacs: where to look.
        series: a CT series.
        model_hash: SHA-256 of the model.
        workplace: a private folder, for the structure sets that are looked into.

    Raises:
        PacsError: they cannot be had.
        WorkerError: no process that reads them can be started.
    """
    found = pacs.find_series(Query(study_uid=series.study_uid, modality="RTSTRUCT"))
    for number, one in enumerate(found[:MOST_SETS]):
        folder = workplace / f"drawn-{number}"
        pacs.fetch(one, folder)
        jobs = [(path, series.series_uid, model_hash) for path in sorted(folder.iterdir())]
        if True in list(outcomes(_is_drawn_on, jobs, _bounds, workers=1)):
            return True
    return False


def check_drawn(path: Path, series: SeriesAtPacs) -> None:
    """Look at a structure set before it is stored.

    Raises:
        UnreadableImageError: it is none.
        GeometryMismatchError: it was drawn on another series.
        EmptyMaskError: nothing is drawn in it.
    """
    structures = read_structure_set(path)
    if series.series_uid not in structures.series_uids or structures.study_uid != series.study_uid:
        raise GeometryMismatchError(
            f"wanted a structure set on series {series.key}; found one on another; nothing was stored"
        )
    if not any(roi.is_volume for roi in structures.rois.values()):
        raise EmptyMaskError(f"wanted a structure drawn on series {series.key}; found none; nothing was stored")


def _is_drawn_on(job: tuple[Path, str, str]) -> bool:
    path, series_uid, model_hash = job
    try:
        made_by = read_made_by(path)
        ours = made_by is not None and made_by.model_hash == model_hash
        return ours and series_uid in read_structure_set(path).series_uids
    except UnreadableImageError:  # of others, and no business of ours
        return False


def _bounds(job: tuple[Path, str, str]) -> Bounds:
    return bounds([job[0]])
