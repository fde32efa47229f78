"""Training cases from a folder of DICOM: one a patient, the CT with the structure set that was drawn on it.

A patient with CTs in several frames of reference, each with structure sets of its own (planned again, treated twice),
gives a case for each. They share the patient's split: nobody is validated on a patient that was trained on.

Law: whose files belong together is told by what they say (Patient ID, references), never by folders.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from pydicom.uid import RTStructureSetStorage

from gossamer.data.importers.whole_set import train_val_split
from gossamer.dicom.case import DicomCase
from gossamer.dicom.deidentify.pseudonyms import Pseudonyms
from gossamer.dicom.files.header import CT_CLASSES, Header
from gossamer.dicom.files.headers import by_patient, read_headers
from gossamer.dicom.rtstruct.skim import skim
from gossamer.errors import DatasetError


@dataclass(frozen=True)
class DicomFolder:
    """What a folder of DICOM gives.

    Attributes:
        cases: one a patient, or one a planned CT of the patient.
        unreadable: why each DICOM file was left out that cannot be read.
        not_dicom: files that are something else.
        repeated: files left out because an equal one was taken.
        shared: what is to be said of images that stand under two Patient IDs.
    """

    cases: tuple[DicomCase, ...]
    unreadable: tuple[str, ...]
    not_dicom: int
    repeated: int
    shared: tuple[str, ...] = ()


def dicom_cases(
    folder: Path,
    site: str,
    names: Mapping[str, str],
    pseudonyms: Pseudonyms,
    *,
    derived: Mapping[str, str] = MappingProxyType({}),
    label: str | None = None,
    val_fraction: float,
    seed: int,
    score_cut: bool,
    workers: int = 0,
    on_file: Callable[[int, int], None] | None = None,
) -> DicomFolder:
    """The patients in a folder.

    Args:
        folder: searched with its subfolders.
        site: the hospital.
        names: standard names by ROI names, as a person confirmed them.
        pseudonyms: of this site's patients.
        derived: formulas of structures made of others, by their standard names; see ``data.derived``.
        label: of the structure sets that are wanted, where a CT has several.
        val_fraction: share of the patients that validates.
        seed: of the draw.
        score_cut: score organs that reach the first or last slice, too.
        workers: processes that read, within bounds of memory and time; 0 reads in this one, without.
        on_file: called as ``on_file(done, of)`` after each file.

    Raises:
        DatasetError: there is no CT and no structure set below the folder.
        UnreadableImageError: the folder cannot be listed.
        WorkerError: no worker can be started.
    """
    found = read_headers(folder, workers, on_file)
    patients = by_patient(found.headers, CT_CLASSES | {RTStructureSetStorage})
    if not patients:
        raise DatasetError(
            f"wanted CT series and structure sets; found {len(found.headers)} DICOM objects, none of them either, and "
            f"{found.not_dicom} other files; check that the folder is the right one"
        )
    by_id = {pseudonyms.of(key): headers for key, headers in patients.items()}
    split, planned = train_val_split(list(by_id), val_fraction, seed), _planned_frames(by_id, workers)
    cases = tuple(
        DicomCase(
            id=case_id if place == 1 else f"{case_id}-{place}",
            split=split[case_id],
            sites=(site,),
            headers=tuple(headers),
            names=tuple(sorted(names.items())),
            derived=tuple(derived.items()),
            label=label,
            frame_uid=frame_uid,
            score_cut=score_cut,
        )
        for case_id, headers in sorted(by_id.items())
        for place, frame_uid in enumerate(planned[case_id], start=1)
    )
    return DicomFolder(cases, found.unreadable, found.not_dicom, found.repeated, _shared_images(by_id))


def roi_names(
    folder: Path, workers: int = 0, on_file: Callable[[int, int], None] | None = None
) -> tuple[Counter[str], int]:
    """ROI names in the structure sets of a folder.

    Returns:
        In how many sets each name is that of a volume, and how many sets were read.

    Raises:
        UnreadableImageError: the folder cannot be listed.
        WorkerError: no worker can be started.
    """
    skimmed = skim(read_headers(folder, workers, on_file).headers, workers)
    return Counter(name for one in skimmed.values() for name in one.volume_names), len(skimmed)


def _shared_images(by_id: Mapping[str, Sequence[Header]]) -> tuple[str, ...]:
    """Patients under whose IDs the same CT images stand, by SOP Instance UID: one person with two numbers, it seems."""
    patients: dict[str, set[str]] = {}
    for case_id, headers in by_id.items():
        for header in headers:
            if header.sop_class_uid in CT_CLASSES:
                patients.setdefault(header.sop_instance_uid, set()).add(case_id)
    counts = Counter(tuple(sorted(ids)) for ids in patients.values() if len(ids) > 1)
    return tuple(
        f"{count} CT images stand under {len(ids)} Patient IDs, those of {', '.join(ids)}; "
        "one patient with two numbers?"
        for ids, count in counts.items()
    )


def _planned_frames(by_id: Mapping[str, Sequence[Header]], workers: int) -> dict[str, tuple[str, ...]]:
    """By patient the frames of reference of the CTs, in the order of their UIDs, if structure sets lie in several.

    Else, as of most patients, ("",). Only where there are several there are several cases; whatever else is strange
    about one plan is left to the rules of ``matching``.
    """
    frames = {
        case_id: {header.frame_of_reference_uid for header in headers if header.sop_class_uid in CT_CLASSES} - {""}
        for case_id, headers in by_id.items()
    }
    several = [header for case_id, headers in by_id.items() if len(frames[case_id]) > 1 for header in headers]
    skimmed = skim(several, workers)
    planned = {}
    for case_id, headers in by_id.items():
        sets = [skimmed[header.path] for header in headers if header.path in skimmed]
        drawn = frames[case_id] & {uid for one in sets for uid in one.frame_uids}
        planned[case_id] = tuple(sorted(drawn)) if len(drawn) > 1 else ("",)
    return planned
