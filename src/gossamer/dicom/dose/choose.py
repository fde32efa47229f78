"""Which dose of a folder is the plan's, and whether it lies in the coordinates of the CT.

Law
    1. The dose of a whole plan counts (Dose Summation Type PLAN, MULTI_PLAN or PLAN_OVERVIEW, PS3.3 C.8.8.3), and there
       must be one. Doses of beams, fractions or sessions are never added up: whether they are of one fraction or of all
       is not in them.
    2. Where CT images lie beside it, their Frame of Reference must be the dose's; never is it a matter of folders.
    3. Files are read apart, within bounds of memory and time; one that cannot be read is said.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from pydicom.uid import RTDoseStorage

from gossamer.data.foreign_files import read_apart
from gossamer.dicom.dose.read import RtDose, read_rt_dose
from gossamer.dicom.files.codes import shown_code
from gossamer.dicom.files.header import CT_CLASSES, Header
from gossamer.dicom.files.headers import read_headers
from gossamer.errors import DataError, GeometryMismatchError, UnreadableImageError
from gossamer.words import counted

OF_A_PLAN = frozenset({"PLAN", "MULTI_PLAN", "PLAN_OVERVIEW"})
"""Dose Summation Types of all that is to be given."""

NOT_CHECKED = "no CT lies beside the dose, so whether it belongs to the patient's CT is not checked"


def read_plan_dose(path: Path) -> tuple[RtDose, tuple[str, ...]]:
    """Read the dose of a plan.

    Args:
        path: an RTDOSE file, or a folder with one among the DICOM files of one patient.

    Returns:
        The dose, and what a user should know.

    Raises:
        UnreadableImageError: there is no dose of a plan, or it cannot be read, or not within its bounds.
        GeometryMismatchError: it lies in other coordinates than the CT beside it, or nowhere.
        DataError: there are several.
        WorkerError: no process that reads can be started.
    """
    if path.is_file():
        dose = _read(path)
        _check_of_plan(Counter([dose.summation]))
        return dose, (*dose.dose.notes, NOT_CHECKED)
    found = read_headers(path, workers=1)
    headers = found.headers
    doses = [header for header in headers if header.sop_class_uid == RTDoseStorage]
    if any(header.contradicted for header in doses):
        raise UnreadableImageError(
            "wanted a dose that is the same in all of its copies; found two that differ under one SOP Instance UID; "
            "keep the right one"
        )
    _check_of_plan(Counter(header.dose_summation for header in doses))
    [chosen] = [header for header in doses if header.dose_summation in OF_A_PLAN]
    notes = _check_coordinates(chosen, headers)
    if len(doses) > 1:
        notes = (*notes, f"{len(doses) - 1} doses of beams or fractions are not the plan's, and left out")
    if found.unreadable:
        notes = (*notes, f"{counted(len(found.unreadable), 'file')} beside the dose cannot be read, and left out")
    dose = _read(chosen.path)
    return dose, (*dose.dose.notes, *notes)


def _read(path: Path) -> RtDose:
    return read_apart(read_rt_dose, path, [path], "a dose")


def _check_of_plan(summations: Counter[str]) -> None:
    """Raise unless there is one dose of a plan."""
    found = ", ".join(f"{count} of {shown_code('DoseSummationType', kind)}" for kind, count in summations.items())
    of_a_plan = sum(count for kind, count in summations.items() if kind in OF_A_PLAN)
    if not of_a_plan:
        raise UnreadableImageError(
            f"wanted the dose of a whole plan (RTDOSE, Dose Summation Type PLAN); found {found or 'none'}; export it"
        )
    if of_a_plan > 1:
        raise DataError(f"wanted one dose of a plan; found {found}; leave the one that is to count")


def _check_coordinates(dose: Header, headers: tuple[Header, ...]) -> tuple[str, ...]:
    """Raise if CT images are there, and none has the dose's frame of reference."""
    frames = {header.frame_of_reference_uid for header in headers if header.sop_class_uid in CT_CLASSES}
    if not frames:
        return (NOT_CHECKED,)
    if not dose.frame_of_reference_uid or dose.frame_of_reference_uid not in frames:
        raise GeometryMismatchError(
            "wanted a dose with the Frame of Reference UID of the CT beside it; found another or none; "
            "it was calculated on another CT: export the dose of this one"
        )
    if len(frames) > 1:
        return ("CTs of several frames of reference lie beside the dose; it has that of one of them",)
    return ()
