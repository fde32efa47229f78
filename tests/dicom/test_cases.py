"""From a folder of DICOM to training cases: two patients whose files lie mixed in one folder."""

import numpy as np
import pytest
from tests.dicom.phantom_series import FRAME, SERIES, STUDY, image_uid, write_series
from tests.dicom.phantom_structures import Drawn, box, write_structures

from gossamer.data.importers.run import import_cases
from gossamer.data.importers.source import CaseLeftOutError
from gossamer.dicom.cases import dicom_cases, roi_names
from gossamer.dicom.deidentify.pseudonyms import Pseudonyms
from gossamer.errors import DataError, DatasetError, EmptyMaskError

SHAPE, SPACING, FIRST = (5, 30, 40), (3.0, 1.0, 0.5), (-100.0, -50.0, 20.0)
KEY = Pseudonyms(bytes(32))


def body():
    """HU [k, r, c]: a patient from column 2 to 37 in air."""
    voxels = np.full(SHAPE, -1000, np.int16)
    voxels[:, 3:27, 2:38] = 40
    return voxels


def organ(number, name, columns, slices=(1, 2, 3)):
    return Drawn(number, name, [box((10, 13), columns, FIRST[2] + k * SPACING[0]) for k in slices])


def write_ct(folder, **settings):
    series = {"voxels": body(), "spacing": SPACING, "ipp": FIRST, "intercept": -1024} | settings
    return write_series(folder, **series)


def write_set(folder, rois, patient="Doe^Jane", name="rs.dcm", change=None, **references):
    def of_patient(file):
        file.PatientID = f"ID of {patient}"
        if change:
            change(file)

    return write_structures(folder / name, rois, change=of_patient, **references)


def cases(folder, names=None, **settings):
    defaults = {"val_fraction": 0.0, "seed": 0, "score_cut": False}
    return dicom_cases(folder, "north", names or {}, KEY, **(defaults | settings)).cases


def test_a_patient_becomes_a_case_with_what_bears_a_standard_name(tmp_path):
    write_ct(tmp_path)
    write_set(tmp_path, [organ(1, "Kidney_L", (28, 33)), organ(2, "Kidney_R", (5, 9)), organ(3, "my own", (15, 16))])
    [case] = cases(tmp_path)
    loaded = case.load()
    assert case.id == KEY.of("ID of Doe^Jane")
    assert set(loaded.masks) == {"Kidney_L", "Kidney_R"}
    assert loaded.image.frame.spacing_mm == pytest.approx(SPACING)
    expected = np.zeros(SHAPE, bool)
    expected[1:4, 10:14, 28:34] = True
    assert (loaded.masks["Kidney_L"] == expected).all()
    assert (loaded.image.voxels == body()).all()
    assert "without a standard or confirmed name, not taken: 1 of 3 ROIs" in loaded.notes


def test_a_name_that_a_person_confirmed_is_taken_and_an_empty_one_left_out(tmp_path):
    write_ct(tmp_path)
    write_set(tmp_path, [organ(1, "Niere li", (28, 33)), organ(2, "Liver", (5, 9))])
    [case] = cases(tmp_path, {"Niere li": "Kidney_L", "Liver": ""})
    assert set(case.load().masks) == {"Kidney_L"}


def test_a_known_synonym_is_not_taken_without_a_persons_word(tmp_path):
    write_ct(tmp_path)
    write_set(tmp_path, [organ(1, "Left Kidney", (28, 33))])
    with pytest.raises(CaseLeftOutError, match="no structure with a standard or confirmed name"):
        cases(tmp_path)[0].load()


def test_a_case_of_which_no_structure_can_be_converted_is_a_bad_one(tmp_path):
    write_ct(tmp_path)
    write_set(tmp_path, [Drawn(1, "Liver", [box((10, 15), (5, 12)), box((12, 20), (8, 15))])])
    with pytest.raises(EmptyMaskError, match="Liver: not taken: ROI 1"):
        cases(tmp_path)[0].load()


def test_two_rois_that_mean_one_structure_are_neither_taken(tmp_path):
    write_ct(tmp_path)
    write_set(tmp_path, [organ(1, "Kidney_L", (28, 33)), organ(2, "Niere li", (28, 32)), organ(3, "Liver", (5, 9))])
    loaded = cases(tmp_path, {"Niere li": "Kidney_L"})[0].load()
    assert set(loaded.masks) == {"Liver"}
    assert "Kidney_L: not taken, since ROI 1 and ROI 2 both mean it" in loaded.notes


def test_a_left_organ_on_the_right_refuses_the_case(tmp_path):
    write_ct(tmp_path, spacing=(3.0, 1.0, 2.0))
    rois = [organ(1, "Kidney_L", (-10, 10)), organ(2, "Kidney_R", (100, 120))]
    write_set(tmp_path, rois)
    with pytest.raises(DataError, match=r"Kidney_L lies .* mm to the right of Kidney_R"):
        cases(tmp_path)[0].load()


def test_a_roi_that_is_refused_counts_as_not_drawn_and_is_told(tmp_path):
    write_ct(tmp_path)
    overlapping = Drawn(2, "Liver", [box((10, 15), (5, 12)), box((12, 20), (8, 15))])
    write_set(tmp_path, [organ(1, "Kidney_L", (28, 33)), overlapping])
    loaded = cases(tmp_path)[0].load()
    assert set(loaded.masks) == {"Kidney_L"}
    assert any(note.startswith("Liver: not taken: ROI 2") for note in loaded.notes)


def test_an_organ_at_the_edge_of_the_slices_is_drawn_but_not_scored(tmp_path):
    write_ct(tmp_path)
    write_set(tmp_path, [organ(1, "Kidney_L", (28, 33), slices=(0, 1)), organ(2, "Liver", (5, 9))])
    loaded = cases(tmp_path)[0].load()
    assert tuple(loaded.complete) == ("Liver",)


def test_files_of_two_patients_that_lie_mixed_are_told_apart_by_what_they_say(tmp_path):
    write_ct(tmp_path)
    write_set(tmp_path, [organ(1, "Liver", (5, 9))])
    other = {"series_uid": "1.2.3.22", "study_uid": "1.2.3.21", "frame_uid": "1.2.3.23"}
    write_ct(tmp_path, patient="Roe^Rick", **other)
    spleen = organ(1, "Spleen", (28, 33))
    spleen.frame_uid = other["frame_uid"]

    def rename(file):
        file.SOPInstanceUID = "1.2.3.99"

    write_set(tmp_path, [spleen], patient="Roe^Rick", name="rs2.dcm", change=rename, **other)
    found = {case.id: set(case.load().masks) for case in cases(tmp_path)}
    assert found == {KEY.of("ID of Doe^Jane"): {"Liver"}, KEY.of("ID of Roe^Rick"): {"Spleen"}}


def test_a_patient_without_a_structure_set_is_left_out_and_one_without_a_ct_refused(tmp_path):
    write_ct(tmp_path / "ct")
    with pytest.raises(CaseLeftOutError, match="no structure set"):
        cases(tmp_path / "ct")[0].load()
    (tmp_path / "rs").mkdir()
    write_set(tmp_path / "rs", [organ(1, "Liver", (5, 9))])
    with pytest.raises(DataError, match="wanted a CT series"):
        cases(tmp_path / "rs")[0].load()


def test_the_approved_one_of_two_structure_sets_is_taken_and_the_other_told(tmp_path):
    write_ct(tmp_path)
    write_set(tmp_path, [organ(1, "Liver", (5, 9))])

    def approve(file):
        file.ApprovalStatus, file.SOPInstanceUID, file.StructureSetDate = "APPROVED", "1.2.3.99", "20200101"

    write_set(tmp_path, [organ(1, "Spleen", (28, 33))], name="rs2.dcm", change=approve)
    loaded = cases(tmp_path)[0].load()
    assert set(loaded.masks) == {"Spleen"}
    assert any("another structure set was not taken: its approval status" in note for note in loaded.notes)


def test_contours_that_are_not_parallel_to_tilted_slices_are_refused_with_their_mm(tmp_path):
    write_ct(tmp_path, tilt_degrees=20.0)
    write_set(tmp_path, [organ(1, "Liver", (5, 20), slices=(0,))])
    with pytest.raises(DataError, match="ROI 1"):
        cases(tmp_path)[0].load()


def test_uneven_slices_are_carried_onto_an_even_grid_with_their_masks(tmp_path):
    positions = [0.0, 3.0, 6.0, 9.0, 15.0, 18.0]
    voxels = np.full((6, *SHAPE[1:]), 40, np.int16)
    write_ct(tmp_path, positions=positions, voxels=voxels)
    drawn = [box((10, 13), (5, 9), FIRST[2] + mm) for mm in (9.0, 15.0)]
    images = [image_uid(k) for k in range(6)]
    write_set(tmp_path, [Drawn(1, "Liver", drawn)], image_uids=images)
    loaded = cases(tmp_path)[0].load()
    assert loaded.image.voxels.shape == (7, 30, 40)
    assert loaded.image.frame.spacing_mm == pytest.approx((3.0, 1.0, 0.5))
    assert np.flatnonzero(loaded.masks["Liver"].any(axis=(1, 2))).tolist() == [3, 4, 5]
    assert any("unevenly spaced" in note for note in loaded.notes)


def test_a_derived_structure_is_made_of_standard_and_own_names_and_complete_if_they_are(tmp_path):
    write_ct(tmp_path)
    lung, target = organ(1, "Lung_L", (20, 33)), organ(2, "planted target", (24, 27))
    write_set(tmp_path, [lung, target, organ(3, "Spleen", (5, 9), slices=(0, 1))])
    derived = {"Heart": "Lung_L - 'planted target'", "Liver": "Spleen + 3 mm", "Bladder": "'planted absence'"}
    loaded = cases(tmp_path, derived=derived)[0].load()
    expected = np.zeros(SHAPE, bool)
    expected[1:4, 10:14, 20:34] = True
    expected[1:4, 10:14, 24:28] = False
    assert (loaded.masks["Heart"] == expected).all()
    assert set(loaded.masks) == {"Lung_L", "Spleen", "Heart", "Liver"}
    assert set(loaded.complete) == {"Lung_L", "Heart"}
    assert "Bladder: not derived, since a ROI of its formula is not drawn" in loaded.notes
    assert "planted" not in " ".join(loaded.notes)


def test_contours_that_lie_in_each_other_are_told(tmp_path):
    write_ct(tmp_path)
    write_set(tmp_path, [organ(1, "Liver", (5, 30)), organ(2, "Stomach", (5, 30)), organ(3, "Spleen", (8, 20))])
    notes = " ".join(cases(tmp_path)[0].load().notes)
    assert "Liver and Stomach are the same contour, voxel for voxel" in notes
    assert "100% of Spleen lies in Liver" in notes


def second_plan(folder, **changed):
    """Another CT of the same patient, in a frame of reference of its own, with another organ drawn."""
    uids = {"series_uid": "1.2.3.22", "study_uid": "1.2.3.21", "frame_uid": "1.2.3.23"}
    write_ct(folder, **uids)
    spleen = organ(1, "Spleen", (28, 33))
    spleen.frame_uid = uids["frame_uid"]

    def rename(file):
        file.SOPInstanceUID = "1.2.3.99"

    write_set(folder, [spleen], name="rs2.dcm", change=rename, **uids, **changed)


def test_a_patient_planned_on_two_cts_gives_two_cases_of_one_split(tmp_path):
    write_ct(tmp_path)
    write_set(tmp_path, [organ(1, "Liver", (5, 9))])
    second_plan(tmp_path)
    others = [f"1.2.4.{n}" for n in range(3)]
    for n, other in enumerate(others):
        uids = {"series_uid": f"{other}.2", "study_uid": f"{other}.1", "frame_uid": f"{other}.3"}
        write_ct(tmp_path, patient=f"Roe^{n}", shape=(1, 30, 40), voxels=None, **uids)
    for seed in range(4):
        found = cases(tmp_path, val_fraction=0.5, seed=seed)
        pseudonym = KEY.of("ID of Doe^Jane")
        planned = [case for case in found if case.id.startswith(pseudonym)]
        assert [case.id for case in planned] == [pseudonym, f"{pseudonym}-2"]
        assert len({case.split for case in planned}) == 1
        assert [case.split for case in found].count("val") >= 2
    assert [set(case.load().masks) for case in planned] == [{"Spleen"}, {"Liver"}]  # in the order of the frames' UIDs


def test_a_second_ct_without_a_structure_set_makes_no_second_case(tmp_path):
    write_ct(tmp_path)
    write_set(tmp_path, [organ(1, "Liver", (5, 9))])
    write_ct(tmp_path, series_uid="1.2.3.22", study_uid="1.2.3.21", frame_uid="1.2.3.0")
    [case] = cases(tmp_path)
    assert (case.id, set(case.load().masks)) == (KEY.of("ID of Doe^Jane"), {"Liver"})


def test_the_same_images_under_two_patient_ids_are_told(tmp_path):
    write_ct(tmp_path / "a")
    write_ct(tmp_path / "b", patient="Roe^Rick")
    found = dicom_cases(tmp_path, "north", {}, KEY, val_fraction=0.0, seed=0, score_cut=False)
    [said] = found.shared
    assert said.startswith("5 CT images stand under 2 Patient IDs, those of ")
    assert all(KEY.of(f"ID of {name}") in said for name in ("Doe^Jane", "Roe^Rick"))


def test_nothing_written_holds_what_a_hospital_wrote(tmp_path):
    write_ct(tmp_path / "in" / "Doe Jane", PatientBirthDate="19450508", InstitutionName="Planted Hospital")
    write_set(tmp_path / "in", [organ(1, "Liver", (5, 9)), organ(2, "planted roi", (28, 33))], label="planted set")
    imported = import_cases(cases(tmp_path / "in"), tmp_path / "out")
    assert [len(dataset.cases) for dataset in imported.datasets] == [1]
    for path in (tmp_path / "out").rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        for word in (b"Doe", b"Jane", b"lanted", b"19450508", SERIES.encode(), STUDY.encode(), FRAME.encode()):
            assert word not in content
            assert word.decode() not in path.relative_to(tmp_path / "out").as_posix()


def test_a_case_is_imported_once_and_again_when_the_names_change(tmp_path):
    write_ct(tmp_path / "in")
    write_set(tmp_path / "in", [organ(1, "Liver", (5, 9)), organ(2, "Milz", (28, 33))])
    assert import_cases(cases(tmp_path / "in"), tmp_path / "out").written == 1
    assert import_cases(cases(tmp_path / "in"), tmp_path / "out").kept == 1
    again = import_cases(cases(tmp_path / "in", {"Milz": "Spleen"}), tmp_path / "out")
    assert (again.written, again.datasets[0].structures) == (1, ("Liver", "Spleen"))


def test_names_are_counted_once_a_structure_set(tmp_path):
    write_ct(tmp_path)
    write_set(tmp_path, [organ(1, "Liver", (5, 9)), organ(2, "PTV", (5, 9)), Drawn(3, "empty")])
    counts, sets = roi_names(tmp_path)
    assert (dict(counts), sets) == ({"Liver": 1, "PTV": 1}, 1)


def test_a_folder_without_ct_or_structure_sets_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing here")
    with pytest.raises(DatasetError, match="1 other files"):
        cases(tmp_path)
