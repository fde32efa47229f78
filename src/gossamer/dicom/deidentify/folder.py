"""A folder of DICOM files to one that may be given away: a folder a patient, named by the patient's pseudonym.

::

    <pseudonym>/CT.<UID>.dcm, RTSTRUCT.<UID>.dcm, RTDOSE.<UID>.dcm
               /deidentified.json                what became of the patient's files; how a run goes on

Law
    1. The files are only read. A patient's folder appears by one rename, when all of it is on disk.
    2. A file that cannot be cleaned is left out and counted, with the reason; others of the patient come without it.
    3. A run that is repeated keeps what was made from the same files, by size and time, with the same settings.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict
from pydicom.uid import UID

from gossamer.atomic import unfinished_folder, whole_folder
from gossamer.bounded_pool import Bounds, Lost, outcomes
from gossamer.dicom.deidentify.objects import KINDS, Treatment, deidentified
from gossamer.dicom.files.codes import is_standard_uid
from gossamer.dicom.files.header import Header
from gossamer.dicom.files.headers import FolderHeaders, by_patient, read_headers
from gossamer.documents import parse_json
from gossamer.errors import DatasetError, GossamerError, UnreadableImageError, UsageError

FORMAT = 2
"""Changes when something else is made of the same files."""

RECORD = "deidentified.json"

FEWEST_BYTES, BYTES_A_BYTE = 2**30, 8
"""Of memory for a patient: for any, and for each byte of the largest file, which is held in memory a few times."""

SHORTEST_S, SECONDS_A_BYTE = 10.0, 2e-6
"""Of time for a patient: for any, and for each byte of all files."""


class Patient(BaseModel):
    """``deidentified.json``: what became of a patient's files.

    Attributes:
        patient: the pseudonym.
        made_from: key of the files and settings.
        written: files by their kind: CT, RTSTRUCT, RTDOSE.
        rois: names of the ROIs that stayed, with the number of structure sets.
        removed_rois: how many went.
        left_out: files by the reason why they are left out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    patient: str
    made_from: str
    written: dict[str, int]
    rois: dict[str, int]
    removed_rois: int
    left_out: dict[str, int]


@dataclass(frozen=True)
class DeidentifiedFolder:
    """What became of a folder.

    Attributes:
        patients: in the order of their pseudonyms.
        kept: how many of them a former run had finished.
        failed: by pseudonym why nothing was written of a patient.
        other_kinds: objects that are not taken, by the standard's name of their kind.
        unreadable: why each DICOM file was left out that cannot be read.
        not_dicom: files that are something else.
        repeated: files left out because an equal one was taken.
    """

    patients: tuple[Patient, ...]
    kept: int
    failed: Mapping[str, str]
    other_kinds: Mapping[str, int]
    unreadable: tuple[str, ...]
    not_dicom: int
    repeated: int


@dataclass(frozen=True)
class _Job:
    headers: tuple[Header, ...]
    patient_key: str
    treatment: Treatment
    place: Path


def deidentify_folder(
    folder: Path,
    out: Path,
    treatment: Treatment,
    *,
    workers: int = 0,
    on_file: Callable[[int, int], None] | None = None,
    on_patient: Callable[[int, int], None] | None = None,
) -> DeidentifiedFolder:
    """De-identify the CT images, structure sets and doses below a folder.

    Args:
        folder: searched with its subfolders; never changed.
        out: where the patients' folders go; not inside ``folder``, nor around it.
        treatment: of this site's files.
        workers: processes that read, within bounds of memory and time; 0 reads in this one, without.
        on_file: called as ``on_file(done, of)`` after each header.
        on_patient: called as ``on_patient(done, of)`` after each patient.

    Raises:
        UsageError: ``folder`` and ``out`` lie in each other.
        DatasetError: there is nothing to de-identify.
        UnreadableImageError: the folder cannot be listed.
        WorkerError: no worker can be started.
        DiskFullError: there is no room; what is finished stays.
        StorageError: a file cannot be written for another reason.
    """
    check_apart(folder, out)
    found = read_headers(folder, workers, on_file)
    jobs = _jobs(found, treatment, out)
    if not jobs:
        raise DatasetError(
            f"wanted CT images, RT structure sets or RT doses; found {len(found.headers)} DICOM objects, none of them "
            f"any, and {found.not_dicom} other files; check that the folder is the right one"
        )
    patients, kept, failed = [], 0, {}
    for done, (job, outcome) in enumerate(
        zip(jobs, outcomes(_deidentify_one, jobs, _bounds, workers=workers), strict=True), start=1
    ):
        if isinstance(outcome, Lost):
            shutil.rmtree(unfinished_folder(job.place), ignore_errors=True)
            failed[job.place.name] = f"wanted files that can be read within bounds; found that {outcome.why}"
        elif isinstance(outcome, str):
            failed[job.place.name] = outcome
        else:
            patient, was_kept = outcome
            patients.append(patient)
            kept += was_kept
        if on_patient:
            on_patient(done, len(jobs))
    others = Counter(_kind(header) for header in found.headers if header.sop_class_uid not in KINDS)
    return DeidentifiedFolder(
        tuple(patients), kept, failed, dict(others.most_common()), found.unreadable, found.not_dicom, found.repeated
    )


def check_apart(folder: Path, out: Path) -> None:
    """Raise UsageError if a folder lies in the other: what is given away must not hold what it was made from."""
    inner, outer = folder.resolve(), out.resolve()
    if inner.is_relative_to(outer) or outer.is_relative_to(inner):
        raise UsageError("wanted two folders that lie apart; found one of the two inside the other; give another --out")


def _kind(header: Header) -> str:
    """The standard's name of an object's kind; never a text of the file."""
    return UID(header.sop_class_uid).name if is_standard_uid(header.sop_class_uid) else "unknown kind"


def _jobs(found: FolderHeaders, treatment: Treatment, out: Path) -> list[_Job]:
    """The patients with something to take, by pseudonym; without a Patient ID, a study is a patient."""
    patients = by_patient(found.headers, KINDS)
    named = {treatment.pseudonyms.of(key): (key, headers) for key, headers in patients.items()}
    return [_Job(tuple(headers), key, treatment, out / name) for name, (key, headers) in sorted(named.items())]


def _bounds(job: _Job) -> Bounds:
    sizes = [0, *(header.path.stat().st_size for header in job.headers if header.path.is_file())]
    return Bounds(FEWEST_BYTES + BYTES_A_BYTE * max(sizes), SHORTEST_S + SECONDS_A_BYTE * sum(sizes))


def _deidentify_one(job: _Job) -> tuple[Patient, bool] | str:
    """What became of a patient, and whether a former run had done it; or why nothing is written."""
    made_from = _made_from(job)
    if finished := _finished(job.place, made_from):
        return finished, True
    try:
        with whole_folder(job.place, f"wanted to write patient {job.place.name}", replace=True) as folder:
            patient = _written(job, folder, made_from)
            if not patient.written:
                reasons = "; ".join(f"{count}: {reason}" for reason, count in patient.left_out.items())
                raise DatasetError(f"wanted a file that can be given away; found none; {reasons}")
            _write(folder / RECORD, patient.model_dump_json(indent=1).encode() + b"\n")
    except DatasetError as error:
        return str(error)
    return patient, False


def _made_from(job: _Job) -> str:
    stats = [(header.sop_instance_uid, *_size_and_time(header.path)) for header in job.headers]
    names = sorted(job.treatment.names.items())
    return job.treatment.pseudonyms.seal(repr((FORMAT, names, job.treatment.shift_dates, sorted(stats))))


def _size_and_time(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:  # what reads it says so
        return 0, 0
    return found.st_size, found.st_mtime_ns


def _finished(place: Path, made_from: str) -> Patient | None:
    """What a former run made from just this, if all its files are there."""
    try:
        patient = parse_json((place / RECORD).read_text(encoding="utf-8"), Patient, f"patient {place.name}")
    except (OSError, UnicodeDecodeError, GossamerError):
        return None
    there = Counter(path.name.split(".")[0] for path in place.glob("*.dcm"))
    return patient if patient.made_from == made_from and there == patient.written else None


def _written(job: _Job, folder: Path, made_from: str) -> Patient:
    """Write what can be given away of a patient's files."""
    written, rois, left_out = Counter[str](), Counter[str](), Counter[str]()
    removed = 0
    for header in job.headers:
        try:
            clean = deidentified(header, job.patient_key, job.treatment)
        except UnreadableImageError as error:
            left_out[f"{KINDS[header.sop_class_uid]}: {error}"] += 1
            continue
        _write(folder / clean.name, clean.content)
        written[KINDS[header.sop_class_uid]] += 1
        rois.update(clean.rois)
        removed += clean.removed_rois
    return Patient(
        patient=job.place.name,
        made_from=made_from,
        written=dict(written),
        rois=dict(sorted(rois.items())),
        removed_rois=removed,
        left_out=dict(left_out),
    )


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
