"""An index of images and label maps: what it says of each patient is what the dataset holds."""

import csv
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from gossamer.data.frame import Frame
from gossamer.data.importers.run import import_cases
from gossamer.data.importers.table import table_cases
from gossamer.errors import DatasetError, UnknownStructureError

SHARED = Path(__file__).parents[4] / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data (real patients), which is absent")

ROW = {
    "id": "p1", "site": "A", "split": "train", "image": "files/p1_ct.nii.gz", "labelmap": "files/p1_oar.nii.gz",
    "annotated": "Liver|Kidney_L", "complete": "Liver", "flags": "", "dose_gy": "66",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "Doe^John"
    folder.mkdir()
    (folder / "labels.json").write_text('{"0": "background", "1": "Liver", "2": "Niere links"}')
    return folder


@pytest.fixture
def cases_of(folder):
    """The cases of an index with these rows."""

    def cases(*rows, names=None):
        with (folder / "index.csv").open("w", newline="", encoding="utf-8-sig") as file:
            writer = csv.DictWriter(file, list(ROW))
            writer.writeheader()
            writer.writerows([{**ROW, **row} for row in rows])
        return table_cases(folder / "index.csv", folder / "labels.json", names or {})

    return cases


def write(write_patient, folder, case="p1", **kwargs):
    write_patient(folder / f"files/{case}_ct.nii.gz", folder / f"files/{case}_oar.nii.gz", **kwargs)


def test_a_row_becomes_a_case(folder, cases_of, write_patient, image, masks):
    write(write_patient, folder)
    cases, ignored = cases_of({"flags": "outlier"})
    assert ignored == ["dose_gy"]
    (dataset,) = import_cases(cases, folder / "out").datasets
    (case,) = dataset.cases
    assert (dataset.site, case.id, case.split) == ("A", "p1", "train")
    assert (case.annotated, case.complete, case.notes) == (("Liver", "Kidney_L"), ("Liver",), ("flags: outlier",))
    np.testing.assert_array_equal(dataset.read_image(case).voxels, image.voxels)
    for name, mask in dataset.read_masks(case).items():
        np.testing.assert_array_equal(mask, masks[name])


def test_what_a_row_does_not_name_as_drawn_stays_unknown(folder, tmp_path, cases_of, write_patient):
    write(write_patient, folder)
    (dataset,) = import_cases(cases_of({"annotated": " Kidney_L ", "complete": ""})[0], tmp_path / "out").datasets
    assert (dataset.cases[0].annotated, dataset.cases[0].complete) == (("Kidney_L",), ())


def test_a_structure_drawn_outside_the_image_only_counts_as_not_drawn(folder, tmp_path, cases_of, write_patient):
    only_kidney = np.zeros((4, 5, 6), dtype=np.uint8)
    only_kidney[1, 1, 1] = 2
    write(write_patient, folder, labels=only_kidney)
    (dataset,) = import_cases(cases_of({"complete": "Kidney_L"})[0], tmp_path / "out").datasets
    assert dataset.cases[0].annotated == ("Kidney_L",)
    assert dataset.cases[0].notes == ("Liver: drawn outside the image only; taken as not drawn",)


def test_a_label_map_a_hair_off_is_snapped_and_noted(folder, tmp_path, cases_of, write_patient):
    write(write_patient, folder, frame=Frame.canonical((4, 5, 6), (3.0, 1.0, 1.0), (-6.0, 10.004, 20.0)))
    (dataset,) = import_cases(cases_of({})[0], tmp_path / "out").datasets
    assert dataset.cases[0].notes == ("case p1, label map: snapped to the image's grid, 0.0040 voxels away",)


@pytest.mark.parametrize(
    ("labels", "row", "reason"),
    [
        (np.full((4, 5, 6), 9), {}, "case p1, label map: wanted the values that are named; found 9 too; name them"),
        (
            np.zeros((4, 5, 6)),
            {},
            "case p1: wanted the masks of Liver, Kidney_L, said to be drawn; found no voxel of any",
        ),
        (None, {"image": "files/none.nii.gz"}, "case p1: wanted all its files; found one missing (No such file"),
        (None, {"labelmap": "files/p1_ct.nii.gz"}, "case p1, label map: wanted the values that are named; found "),
        (None, {"complete": "Liver|Kidney_L", "annotated": "Liver"}, "wanted complete structures to be annotated too"),
    ],
)
def test_a_bad_row_is_set_aside_with_its_reason(folder, tmp_path, cases_of, write_patient, labels, row, reason):  # noqa: PLR0917
    for case in ("p1", "p2"):
        write(
            write_patient, folder, case, labels=labels.astype(np.uint8) if case == "p1" and labels is not None else None
        )
    second = {"id": "p2", "image": "files/p2_ct.nii.gz", "labelmap": "files/p2_oar.nii.gz"}
    (dataset,) = import_cases(cases_of(row, second)[0], tmp_path / "out").datasets
    assert [case.id for case in dataset.cases] == ["p2"]
    ((bad, said),) = [(bad.case, bad.reason) for bad in dataset.set_aside]
    assert bad == "p1"
    assert reason in said
    assert "Doe" not in said


def test_a_complete_structure_without_a_voxel_is_bad(folder, tmp_path, cases_of, write_patient):
    only_kidney = np.zeros((4, 5, 6), dtype=np.uint8)
    only_kidney[1, 1, 1] = 2
    write(write_patient, folder, labels=only_kidney)
    write(write_patient, folder, "p2")
    second = {"id": "p2", "image": "files/p2_ct.nii.gz", "labelmap": "files/p2_oar.nii.gz"}
    (dataset,) = import_cases(cases_of({}, second)[0], tmp_path / "out").datasets
    assert "case p1: wanted the mask of Liver, which is said to be drawn; found no voxel" in dataset.set_aside[0].reason


@pytest.mark.parametrize(
    ("row", "error", "message"),
    [
        ({"annotated": "Liver|Kidny_L"}, UnknownStructureError,
         r"(?s)index, line 3 \(case p1\), annotated: .*found 'Kidny_L'; nearest: Kidney_L.*\ncorrect the spelling"),
        ({"complete": "PTV70"}, UnknownStructureError, r"(?s)index, line 3 \(case p1\), complete: .*found 'PTV70'"),
        ({"annotated": "Heart"}, DatasetError, "annotated structures that have a value; found Heart, which has none"),
        ({"split": "Train"}, DatasetError, r"line 3 \(case p1\): wanted split train, val, test; found 'Train'"),
        ({"id": "Doe^Jane"}, DatasetError, r"index, line 3, id: wanted .*; found 8 characters, among them '\^'"),
        ({"site": ""}, DatasetError, "index, line 3, site: wanted 1 to 64 letters"),
    ],
)  # fmt: skip
def test_a_row_that_is_wrong_is_named_by_its_line_before_anything_is_read(cases_of, row, error, message):
    with pytest.raises(error, match=message) as caught:
        cases_of({"id": "p0"}, row)
    assert "Doe" not in str(caught.value)


def test_advice_fits_the_command(cases_of):
    with pytest.raises(UnknownStructureError) as caught:
        cases_of({"annotated": "PTV70"})
    assert "--skip-unknown" not in str(caught.value), "which tables do not have"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "index: wanted a CSV file in UTF-8; found one that cannot be read (No such file or directory); give"),
        (b"id,site\n\xff\n", "index: wanted a CSV file in UTF-8; found one that cannot be read ("),
        (
            b"",
            "index: wanted the columns id, site, split, image, labelmap, annotated, complete; found none called id, ",
        ),
        (b"id,site,split,image,labelmap,annotated\n", "found none called complete; name them in the first line"),
        (
            b"id,site,split,image,labelmap,annotated,complete\na,b\n",
            "index, line 2: wanted 7 fields; found another number",
        ),
        (b"id,site,split,image,labelmap,annotated,complete\n1,2,3,4,5,6,7,8\n", "index, line 2: wanted 7 fields"),
    ],
)
def test_an_index_that_is_none_is_refused_without_its_path(folder, content, message):
    if content is not None:
        (folder / "index.csv").write_bytes(content)
    with pytest.raises(DatasetError) as caught:
        table_cases(folder / "index.csv", folder / "labels.json", {})
    assert message in str(caught.value)
    assert "Doe" not in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ('{"Liver": 1}', DatasetError, 'labels: wanted JSON of structures by value, like {"1": "Brainstem"}'),
        ("[]", DatasetError, "labels: wanted JSON"),
        ("{", DatasetError, "labels: wanted JSON"),
        (
            '{"1": "Liver", "2": "Liver"}',
            DatasetError,
            "wanted one value a structure; found several of Liver; join them",
        ),
        (
            '{"1": "Liver", "2": "Leber"}',
            DatasetError,
            "labels: wanted one name a structure; found 'Liver' and 'Leber'",
        ),
        ('{"1": "Livr"}', UnknownStructureError, "nearest: Liver"),
        ('{"1": 5}', UnknownStructureError, "found '5'"),
    ],
)
def test_names_of_values_that_are_wrong_are_refused(folder, cases_of, labels, error, message):
    (folder / "labels.json").write_text(labels)
    with pytest.raises(error) as caught:
        cases_of({})
    assert message in str(caught.value)


@needs_shared
def test_real_patients_come_through_a_table_as_they_are_listed(tmp_path):
    source = SHARED / "openkbp"
    with (source / "index.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))[:4]
    for row in rows:
        row.update(image=str(source / row["image"]), labelmap=str(source / row["labelmap"]))
    with (tmp_path / "index.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    cases, ignored = table_cases(tmp_path / "index.csv", source / "labels.json", {})
    assert ignored == ["truncated", "spacing_x_mm", "spacing_z_mm", "extent_z_mm", "noise_hu"]
    (dataset,) = import_cases(cases, tmp_path / "out").datasets
    value_of = {name: int(value) for value, name in json.loads((source / "labels.json").read_text()).items()}
    assert [case.id for case in dataset.cases] == [row["id"] for row in rows]
    for row, case in zip(rows, dataset.cases, strict=True):
        inside = np.unique(nibabel.load(row["labelmap"]).dataobj)  # what lies outside the image is unknown in it
        assert case.annotated == tuple(name for name in row["annotated"].split("|") if value_of[name] in inside)
        assert set(case.complete) == set(row["complete"].split("|"))
        assert case.spacing_mm[2] == pytest.approx(float(row["spacing_x_mm"]), abs=1e-3)
        assert case.shape[0] * case.spacing_mm[0] == pytest.approx(float(row["extent_z_mm"]), abs=0.1)
        # nibabel reads [x, y, z] towards right-anterior or left-posterior; the files' affine is diag(-, -, +)
        ct = np.asarray(nibabel.load(row["image"]).dataobj).transpose(2, 1, 0)
        labels = np.asarray(nibabel.load(row["labelmap"]).dataobj).transpose(2, 1, 0)
        np.testing.assert_array_equal(dataset.read_image(case).voxels, ct)
        for name, mask in dataset.read_masks(case).items():
            np.testing.assert_array_equal(mask, labels == value_of[name])
