"""What structure sets of a folder say of themselves in a few words, read in processes with bounds of memory and time.

Law: a structure set costs at most itself. One that cannot be read, or takes more than a case of this one file may, is
not among those skimmed; whoever imports it says why.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydicom.uid import RTStructureSetStorage

from gossamer.bounded_pool import Lost, outcomes
from gossamer.data.foreign_files import bounds
from gossamer.dicom.files.header import Header
from gossamer.dicom.rtstruct.read import read_structure_set
from gossamer.errors import DataError


@dataclass(frozen=True)
class Skimmed:
    """A structure set in a few words.

    Attributes:
        volume_names: of its ROIs that are volumes, as the hospital wrote them; never shown but to a person who asks.
        frame_uids: frames of reference that it names.
    """

    volume_names: frozenset[str]
    frame_uids: frozenset[str]


def skim(headers: Iterable[Header], workers: int = 0) -> dict[Path, Skimmed]:
    """The structure sets among headers that can be read, by their paths.

    Args:
        headers: of any objects.
        workers: processes that read, within bounds of memory and time; 0 reads in this one, without.

    Raises:
        WorkerError: no worker can be started.
    """
    paths = [header.path for header in headers if header.sop_class_uid == RTStructureSetStorage]
    found = outcomes(_skimmed, paths, lambda path: bounds([path]), workers=workers)
    return {path: one for path, one in zip(paths, found, strict=True) if one is not None and not isinstance(one, Lost)}


def _skimmed(path: Path) -> Skimmed | None:
    try:
        structures = read_structure_set(path)
    except DataError:
        return None
    names = frozenset(roi.name for roi in structures.rois.values() if roi.name and roi.is_volume)
    return Skimmed(names, frozenset(structures.frame_of_reference_uids))
