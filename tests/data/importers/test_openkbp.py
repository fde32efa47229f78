"""The public OpenKBP repository: made-up patients for its rules, and five real ones against their converted twins."""

import csv
import json
import tarfile
from pathlib import Path

import nibabel
import numpy as np
import pytest
from typer.testing import CliRunner

from gossamer.cli.import_ import import_app
from gossamer.data.dataset import Dataset
from gossamer.data.importers.openkbp import openkbp_cases
from gossamer.data.importers.run import import_cases
from gossamer.data.importers.source import CaseLeftOutError
from gossamer.errors import DatasetError, UnreadableImageError

SHARED = Path(__file__).parents[4] / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data (real patients), which is absent")

BODY = (range(50, 70), range(60, 80))
"""Rows and columns: 20 x 20 = 400 voxels a slice, just enough."""


def flat(rows, columns, slices):
    """The numbers that the files give voxels: C order over (row, column, slice)."""
    return [(r * 128 + c) * 128 + s for r in rows for c in columns for s in slices]


@pytest.fixture
def patient(tmp_path):
    """Writes a made-up patient of 40 slices (of 2.5 mm) with a brainstem; returns the case that reads it."""

    def write(
        place="train-pats/pt_7", *, size_mm=(3.9, 3.9, 2.5), highest=3976, slices=range(40, 80), raw=None, rois=None
    ):
        folder = tmp_path / "provided-data" / place
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "voxel_dimensions.csv").write_text("".join(f"{mm}\n" for mm in size_mm))
        values = dict.fromkeys(flat(*BODY, slices), 1000.0)
        values[flat([55], [65], [slices[0]])[0]] = float(highest)
        values.update(raw or {})
        (folder / "ct.csv").write_text(",data\n" + "".join(f"{n},{value}\n" for n, value in values.items()))
        for roi, voxels in (rois or {"Brainstem": flat([55, 56], [65], range(45, 55))}).items():
            (folder / f"{roi}.csv").write_text(",data\n" + "".join(f"{n},\n" for n in voxels))
        return next(case for case in openkbp_cases(tmp_path) if case.folder == folder)

    return write


def test_voxels_lie_where_the_files_say(patient):
    marked = flat([52], [77], [78])[0]
    loaded = patient(raw={marked: 1234.0}).load()
    # rows 50 ... 69 and columns 60 ... 79 with two voxels around; slices 79 ... 40 count from the head down
    assert loaded.image.frame.shape == (40, 24, 24)
    assert loaded.image.frame.spacing_mm == pytest.approx((2.5, 3.9, 3.9))
    assert loaded.image.frame.tilt_degrees == 0
    assert loaded.image.voxels.dtype == np.int16
    assert np.argwhere(loaded.image.voxels == 234).tolist() == [[79 - 78, 52 - 48, 77 - 58]]
    assert np.argwhere(loaded.image.voxels == 2976).tolist() == [[79 - 40, 55 - 48, 65 - 58]]
    assert (loaded.image.voxels == 0).sum() == 400 * 40 - 2
    assert (loaded.image.voxels == -1000).sum() == 24 * 24 * 40 - 400 * 40
    (mask,) = loaded.masks.values()
    assert np.argwhere(mask).min(axis=0).tolist() == [79 - 54, 55 - 48, 65 - 58]
    assert np.argwhere(mask).max(axis=0).tolist() == [79 - 45, 56 - 48, 65 - 58]
    assert mask.sum() == 20


def test_hu_are_clipped_like_the_scanner_would(patient):
    loaded = patient(raw={flat([60], [70], [60])[0]: 9999.0}).load()
    assert loaded.image.voxels.max() == 3095
    assert loaded.image.voxels.min() == -1000


@pytest.mark.parametrize(
    ("highest", "size_mm", "site"),
    [
        (3976, (3.9, 3.9, 2.5), "A"),
        (3975, (3.9, 3.9, 2.6), "A"),
        (3977, (4.0, 4.0, 2.5), "B"),
        (3976, (3.9, 3.9, 2.7), "B"),
        (3978, (3.9, 3.9, 2.5), "C"),
        (2500, (5.0, 5.0, 2.79), "C"),
        (4095, (3.9, 3.9, 2.8), "D"),
    ],
)
def test_the_proxy_hospital_follows_from_the_scanners_signature(patient, highest, size_mm, site):
    assert patient(highest=highest, size_mm=size_mm).load().site == site


def test_nine_tenths_inside_the_slices_is_complete_and_less_is_drawn_but_cut(patient):
    inside, outside = range(40, 49), range(30, 39)  # slices below 40 show no body
    loaded = patient(
        rois={
            "Brainstem": flat([55], [65], [*inside, outside[0]]),
            "SpinalCord": flat([55], [66], [*inside[1:], *outside[:2]]),
            "Larynx": flat([55], [67], outside),
            "Esophagus": [],
        }
    ).load()
    assert set(loaded.masks) == {"Brainstem", "SpinalCord"}
    assert loaded.masks["Brainstem"].sum() == 9
    assert loaded.complete == ["Brainstem"]
    assert loaded.notes == ["Larynx: drawn outside the image only; taken as not drawn"]


def test_of_two_organs_on_one_voxel_the_later_wins(patient):
    both = flat([55], [65], range(45, 55))
    loaded = patient(rois={"Mandible": both[:4], "Brainstem": both, "LeftParotid": both[2:6]}).load()
    assert {name: int(mask.sum()) for name, mask in loaded.masks.items()} == {
        "Brainstem": 4,
        "Parotid_L": 2,
        "Bone_Mandible": 4,
    }


def test_the_longest_run_of_slices_with_a_body_counts(patient):
    debris = dict.fromkeys(flat(*BODY, range(100, 110)), 900.0)
    thin = dict.fromkeys(flat(range(50, 70), range(60, 79), range(80, 99)), 900.0)  # 380 voxels a slice
    assert patient(raw={**debris, **thin}).load().image.frame.shape[0] == 40


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"slices": range(40, 71)}, "78 mm of slices, 1 complete organs"),
        ({"rois": {"Brainstem": flat([55], [65], range(20, 50))}}, "100 mm of slices, 0 complete organs"),
        ({"place": "test-pats/pt_293"}, "the same CT as train_pt_36"),
    ],
)
def test_cases_that_the_data_sets_rules_do_not_use_are_left_out_with_a_reason(patient, changes, why):
    with pytest.raises(CaseLeftOutError, match=f"^{why}$"):
        patient(**changes).load()


def test_an_empty_ct_is_left_out(patient):
    case = patient()
    (case.folder / "ct.csv").write_text(",data\n")
    with pytest.raises(CaseLeftOutError, match="no slice shows a body"):
        case.load()


def test_the_official_folders_are_the_splits_and_the_twin_is_named_as_left_out(patient, tmp_path):
    for place in (
        "train-pats/pt_7",
        "train-pats/pt_12",
        "validation-pats/pt_201",
        "test-pats/pt_241",
        "test-pats/pt_293",
    ):
        patient(place)
    imported = import_cases(openkbp_cases(tmp_path), tmp_path / "out", public=True)
    (dataset,) = imported.datasets
    assert {case.id: case.split for case in dataset.cases} == {
        "train_pt_7": "train",
        "train_pt_12": "train",
        "val_pt_201": "val",
        "test_pt_241": "test",
    }
    assert [(case.case, case.reason) for case in imported.left_out] == [("test_pt_293", "the same CT as train_pt_36")]
    assert dataset.public
    assert not (tmp_path / "out/A/test_pt_293").exists()


def test_the_clone_or_its_data_folder_can_be_given_and_nothing_else(patient, tmp_path):
    patient()
    assert len(openkbp_cases(tmp_path)) == len(openkbp_cases(tmp_path / "provided-data")) == 1
    with pytest.raises(DatasetError, match="OpenKBP: wanted train-pats, validation-pats, test-pats with folders pt_N"):
        openkbp_cases(tmp_path / "provided-data/train-pats/pt_7")


@pytest.mark.parametrize(
    ("file", "content", "found"),
    [
        ("voxel_dimensions.csv", "3.9\n3.9\n", "wanted three sizes in mm; found [3.9, 3.9]"),
        ("voxel_dimensions.csv", "3.9\n3.9\n0\n", "wanted three sizes in mm"),
        ("ct.csv", ",data\n5,12\n7,x\n", "wanted numbers; found: "),
        ("ct.csv", ",data\n5,nan\n", "wanted numbers; found NaN"),
        ("ct.csv", f",data\n{128**3},12\n", "wanted numbers of voxels from 0 to 2097151; found others"),
        ("ct.csv", ",data\n1e300,12\n", "wanted numbers of voxels"),
        ("ct.csv", ",data\n-1,12\n", "wanted numbers of voxels"),
        ("ct.csv", ",data\n1.5,12\n", "wanted numbers of voxels"),
        ("Brainstem.csv", ",data\n\u00fc,\n", "wanted numbers; found: "),
    ],
)
def test_a_damaged_file_is_named_and_the_remedy_told(patient, file, content, found):
    case = patient()
    (case.folder / file).write_text(content)
    with pytest.raises(UnreadableImageError) as caught:
        case.load()
    assert str(caught.value).startswith(f"case train_pt_7, {file}: {found}")
    assert str(caught.value).endswith("; the clone is incomplete: clone it again")
    assert str(case.folder) not in str(caught.value)


def test_a_damaged_patient_of_no_known_hospital_ends_the_import_and_the_rest_is_kept(patient, tmp_path):
    patient()
    torn = patient("train-pats/pt_8")
    (torn.folder / "ct.csv").write_text(",data\n5,nan\n")
    with pytest.raises(UnreadableImageError, match=r"case train_pt_8, ct\.csv"):
        import_cases(openkbp_cases(tmp_path), tmp_path / "out")
    patient("train-pats/pt_8")
    again = import_cases(openkbp_cases(tmp_path), tmp_path / "out")
    assert (again.kept, again.written) == (1, 1)


@needs_shared
def test_five_real_patients_come_out_equal_to_their_converted_twins(tmp_path):
    with tarfile.open(SHARED / "openkbp_raw" / "open-kbp-sample.tar.xz") as archive:
        archive.extractall(tmp_path / "clone", filter="data")
    out = tmp_path / "out"
    done = CliRunner().invoke(
        import_app, ["openkbp", str(tmp_path / "clone"), "--out", str(out), "--workers", "1", "--json"]
    )
    # one of D's two patients is official validation, the other three sites have one training patient each
    assert done.exit_code == 0, done.output
    summary = {site["site"]: site for site in json.loads(done.stdout)["sites"]}
    assert {site: (s["train"], s["val"], s["test"]) for site, s in summary.items()} == {
        "A": (1, 0, 0),
        "B": (1, 0, 0),
        "C": (1, 0, 0),
        "D": (1, 1, 0),
    }
    twins = SHARED / "openkbp"
    value_of = {name: int(value) for value, name in json.loads((twins / "labels.json").read_text()).items()}
    with (twins / "index.csv").open(newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    compared = []
    for site in "ABCD":
        dataset = Dataset.open(out / site)
        for case in dataset.cases:
            row = rows[case.id]
            ct = nibabel.load(twins / row["image"])
            labels = np.asarray(nibabel.load(twins / row["labelmap"]).dataobj).transpose(2, 1, 0)
            assert (site, case.split) == (row["site"], row["split"])
            np.testing.assert_array_equal(dataset.read_image(case).voxels, np.asarray(ct.dataobj).transpose(2, 1, 0))
            np.testing.assert_allclose(case.spacing_mm, ct.header.get_zooms()[::-1], rtol=1e-6)
            ours = nibabel.load(dataset.folder / case.id / "ct.nii.gz")
            np.testing.assert_allclose(ours.affine[:3, :3], ct.affine[:3, :3], rtol=1e-6)
            inside = np.unique(labels)  # what lies outside the image is unknown in it
            assert case.annotated == tuple(n for n in row["annotated"].split("|") if value_of[n] in inside)
            assert set(case.complete) == set(row["complete"].split("|"))
            masks = dataset.read_masks(case)
            painted = sum(mask * np.uint8(value_of[name]) for name, mask in masks.items())
            np.testing.assert_array_equal(painted, labels)
            compared.append((case.id, site))
    assert sorted(compared) == [
        ("train_pt_1", "A"),
        ("train_pt_101", "B"),
        ("train_pt_130", "D"),
        ("train_pt_36", "C"),
        ("val_pt_214", "D"),
    ]
