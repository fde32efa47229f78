"""Damaged and hostile files, among sound patients: each ends in a refusal of its own, and nothing of it comes in.

They go through the whole import, in workers as a user has them. What each costs is measured for those that are made to
cost time or memory.
"""

import os
import re
import warnings

import numpy as np
import pytest
from tests.dicom.hostile_files import NIFTI, SLICES, STRUCTURE_SETS, measured, read_image
from tests.dicom.phantom_patient import organ, write_patient

from gossamer.bounded_pool import Bounds, outcomes
from gossamer.data import foreign_files
from gossamer.data.frame import Frame
from gossamer.data.image import write_nifti
from gossamer.data.importers.run import import_cases
from gossamer.data.importers.table import TableCase
from gossamer.dicom.cases import dicom_cases
from gossamer.dicom.deidentify.folder import deidentify_folder
from gossamer.dicom.deidentify.objects import Treatment
from gossamer.dicom.deidentify.pseudonyms import Pseudonyms
from gossamer.dicom.files import headers
from gossamer.dicom.files.header import read_header
from gossamer.dicom.files.headers import read_headers
from gossamer.dicom.rtstruct.read import read_structure_set

KEY = Pseudonyms(bytes(32))
SECONDS, BYTES = 10.0, 2**30
"""What a hostile file may take; half of the memory that is promised."""

COSTLY = frozenset(
    (
        "nested-100000-deep",
        "deflate-bomb",
        "set-of-a-million-contours",
        "set-nested",
        "gz-bomb-behind-a-small-image",
        "gz-bomb-of-8-GB",
    )
)
"""Refused for what they claim or hold; others end at the bounds of time and memory, as the imports show."""


def names_of(*lists):
    return [hostile.name for some in lists for hostile in some]


def write_hostile(folder, number, hostile):
    """A patient of whom one slice, or the structure set, is hostile."""
    root = f"1.2.{number}"
    target = organ(1, "Liver", series_uid=f"{root}.2")
    rois = hostile.rois(f"{root}.2") if hostile.rois else [target]
    of_set = hostile in STRUCTURE_SETS
    at_slice = (lambda file, k: hostile.change(file) if k == 2 else None) if hostile.change and not of_set else None
    path = write_patient(
        folder, root, hostile.name, rois, change_ct=at_slice, change_set=hostile.change if of_set else None
    )
    if hostile.content:
        path = path if of_set else next(folder.glob(f"{root}.2-*-2"))
        path.write_bytes(hostile.content(path.read_bytes()))
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder for the whole module; nobody waits for its disk, nor long for a bomb to burst."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda _descriptor: None)
        patch.setattr(foreign_files, "FEWEST_BYTES", 2**29)  # a third of the real bound, met in a third of the time
        yield tmp_path_factory.mktemp("hostile")


@pytest.fixture(scope="module")
def imported(home):
    """What is said of each case in an import of all hostile patients, with sound ones between them.

    A dictionary by case id, the ids that came in, and seconds.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(headers, "BOUNDS", Bounds(2**30, 2.0))  # the test of what they cost has the real ones
        for number, hostile in enumerate([*SLICES, *STRUCTURE_SETS]):
            write_hostile(home / "in", number, hostile)
            if number % 20 == 0:
                write_patient(home / "in", f"1.3.{number}", f"sound {number}")
        settings = {"val_fraction": 0.0, "seed": 0, "score_cut": False, "workers": 1}
        found = dicom_cases(home / "in", "north", {}, KEY, **settings)
        done = import_cases(found.cases, home / "out", workers=1, max_set_aside=1.0)
    return outcome_of(done, found.unreadable, sorted(path for path in (home / "in").iterdir()))


def outcome_of(done, unreadable=(), paths=()):
    """What is said by case, what by number of a file in the order of paths, and what came in."""
    [dataset] = done.datasets
    said = {bad.case: bad.reason for bad in (*dataset.set_aside, *done.left_out)}
    for message in unreadable:
        number = int(message.split()[1])
        said[paths[number - 1].name] = message
    return said, {case.id for case in dataset.cases}


def test_there_are_enough_of_them():
    names = [hostile.name for hostile in (*SLICES, *STRUCTURE_SETS, *NIFTI)]
    assert len(names) == len(set(names)) >= 60


@pytest.mark.parametrize("number", range(len(SLICES) + len(STRUCTURE_SETS)), ids=names_of(SLICES, STRUCTURE_SETS))
def test_a_hostile_dicom_file_is_refused_and_nothing_of_its_case_comes_in(home, imported, number):
    hostile = [*SLICES, *STRUCTURE_SETS][number]
    said, came_in = imported
    case_id = KEY.of(f"ID of {hostile.name}")
    files = [message for name, message in said.items() if name.startswith((f"1.2.{number}.", f"1.2.{number}-"))]
    assert case_id not in came_in
    assert re.search(hostile.refusal, " | ".join([said.get(case_id, ""), *files]))
    assert case_id in said, "it is named at its own site"
    assert not list((home / "out").rglob(f"*{case_id}*"))


def test_the_sound_patients_between_them_come_in(home, imported):
    said, came_in = imported
    assert came_in == {KEY.of(f"ID of sound {n}") for n in range(0, len(SLICES) + len(STRUCTURE_SETS), 20)}
    assert not any(name.startswith("1.3.") for name in said)
    assert not [path for path in (home / "out").rglob("*") if path.name.startswith(".")]


@pytest.fixture(scope="module")
def imported_nifti(home):
    """The same of an import of NIfTI images."""
    folder = home / "nifti"
    folder.mkdir()
    voxels, frame = np.full((6, 5, 4), 40, np.int16), Frame.canonical((6, 5, 4), (3.0, 2.0, 1.0))
    write_nifti(folder / "sound.nii", voxels, frame)
    write_nifti(folder / "oar.nii", (np.indices(voxels.shape).sum(axis=0) < 5).astype(np.int16), frame)
    sound = (folder / "sound.nii").read_bytes()
    for hostile in NIFTI:
        (folder / f"{hostile.name}.nii").write_bytes(hostile.content(sound))
    cases = [
        TableCase(
            name, "train", ("north",), folder / f"{name}.nii", folder / "oar.nii",
            labels=(("Liver", (1,)),), known_values=(1,), complete=("Liver",), notes=(),
        )
        for name in (*names_of(NIFTI), "sound")
    ]  # fmt: skip
    return outcome_of(import_cases(cases, home / "nifti-out", workers=1, max_set_aside=1.0))


@pytest.mark.parametrize("hostile", NIFTI, ids=names_of(NIFTI))
def test_a_hostile_nifti_file_is_refused_and_nothing_of_its_case_comes_in(home, imported_nifti, hostile):
    said, came_in = imported_nifti
    assert came_in == {"sound"}
    assert re.search(hostile.refusal, said[hostile.name])
    assert sorted(path.name for path in (home / "nifti-out" / "north").iterdir()) == ["dataset.json", "sound"]


def test_what_is_made_to_cost_time_or_memory_costs_little_of_either(home, imported, imported_nifti):
    jobs = [(read_image, home / "nifti" / f"{one.name}.nii") for one in NIFTI if one.name in COSTLY]
    for number, hostile in enumerate([*SLICES, *STRUCTURE_SETS]):
        if hostile.name in COSTLY:
            of_set = hostile in STRUCTURE_SETS
            [path] = (home / "in").glob(f"1.2.{number}-rs.dcm" if of_set else f"1.2.{number}.2-*-2")
            jobs.append((read_structure_set if of_set else read_header, path))
    assert len(jobs) == len(COSTLY)
    for error, seconds, peak_bytes in outcomes(measured, jobs, bounds_of_case, workers=1):
        assert error in ("UnreadableImageError", "MemoryError")
        assert seconds < SECONDS
        assert peak_bytes < BYTES


def bounds_of_case(job):
    """Those that the import gives to a case of this one file."""
    return foreign_files.bounds([job[1]])


def test_what_is_no_regular_file_is_passed_over(tmp_path):
    folder = tmp_path / "in"
    write_patient(folder)
    os.mkfifo(folder / "pipe.dcm")  # whoever opens it waits for ever
    (folder / "folder.dcm").mkdir()
    (folder / "loop.dcm").symlink_to(folder)
    (folder / "zeros.dcm").symlink_to("/dev/zero")
    (folder / "self.dcm").symlink_to(folder / "self.dcm")
    found = read_headers(folder)
    assert (len(found.headers), found.not_dicom, found.unreadable) == (6, 0, ())


def test_uids_and_numbers_that_look_like_paths_lead_nowhere(tmp_path):
    def astray(file, k=None):
        file.PatientID = "../../../planted\0"
        file.StudyInstanceUID = "../../planted"
        if k is None:
            file.SeriesInstanceUID = "/planted"

    home = tmp_path / "one" / "two" / "three"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of pydicom, on what it is asked to write
        write_patient(home / "in", change_ct=astray, change_set=astray)
        found = dicom_cases(home / "in", "north", {}, KEY, val_fraction=0.0, seed=0, score_cut=False)
        done = import_cases(found.cases, home / "out")
        given = deidentify_folder(home / "in", home / "clean", Treatment(KEY, {}))
    assert [len(dataset.cases) for dataset in done.datasets] == [1]
    assert [patient.written for patient in given.patients] == [{"CT": 5, "RTSTRUCT": 1}]
    assert not list(tmp_path.rglob("*planted*"))
    assert sorted(path.name for path in home.iterdir()) == ["clean", "in", "out"]


def test_a_structure_set_that_refers_to_itself_is_read_once(tmp_path):
    def refer(file):
        for contour in file.ROIContourSequence[0].ContourSequence:
            contour.ContourImageSequence[0].ReferencedSOPInstanceUID = file.SOPInstanceUID
        [series] = file.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0].RTReferencedSeriesSequence
        series.ContourImageSequence[0].ReferencedSOPInstanceUID = file.SOPInstanceUID

    write_patient(tmp_path / "in", change_set=refer)
    [case] = dicom_cases(tmp_path / "in", "north", {}, KEY, val_fraction=0.0, seed=0, score_cut=False).cases
    assert case.load().masks["Liver"].sum() == 3 * 4 * 5


@pytest.mark.parametrize("change", ["another", "shorter", "gone"])
def test_a_file_that_changes_after_its_header_was_read_sets_its_case_aside(tmp_path, change):
    write_patient(tmp_path / "in")
    write_patient(tmp_path / "in", "1.3.1", "sound")
    found = dicom_cases(tmp_path / "in", "north", {}, KEY, val_fraction=0.0, seed=0, score_cut=False)
    path = next((tmp_path / "in").glob("1.2.3.2-*-2"))
    if change == "another":
        path.write_bytes(next((tmp_path / "in").glob("1.2.3.2-*-3")).read_bytes())
    elif change == "shorter":
        path.write_bytes(path.read_bytes()[:-500])
    else:
        path.unlink()
    [dataset] = import_cases(found.cases, tmp_path / "out", max_set_aside=1.0).datasets
    assert [case.id for case in dataset.cases] == [KEY.of("ID of sound")]
    [bad] = dataset.set_aside
    assert re.search("wanted the image of the header|bytes of pixels|bytes of element|one missing", bad.reason)
    assert not (tmp_path / "out" / "north" / bad.case).exists()
