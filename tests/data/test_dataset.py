"""A dataset is whole or unfinished, never half; what was not drawn stays unknown; a full disk loses nothing."""

import json
import os
import shutil

import numpy as np
import pytest

from gossamer.data.dataset import Dataset, DatasetWriter
from gossamer.errors import (
    DatasetError,
    DiskFullError,
    EmptyMaskError,
    GeometryMismatchError,
    NoTrainingCaseError,
    StorageError,
    TooManyBadCasesError,
    UnknownKeyError,
    UnknownStructureError,
    UnreadableImageError,
)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "site-a"


@pytest.fixture
def dataset(folder, image, masks):
    writer = DatasetWriter(folder, "A", public=True)
    writer.add("p1", "train", image, masks, complete=("Liver",), notes=("seen",), made_from="key-1")
    writer.add("p2", "val", image, masks, annotated=("Kidney_L",), made_from="key-2")
    writer.set_aside("p3", "torn")
    return writer.finish(max_set_aside=0.5)


def files_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def no_room(*_args, **_kwargs):
    raise OSError(28, "No space left on device")


def test_what_is_written_is_read(dataset, folder, image, masks):
    read = Dataset.open(folder)
    assert read.description == dataset.description
    assert (read.site, read.public, [case.id for case in read.cases]) == ("A", True, ["p1", "p2"])
    assert [(bad.case, bad.reason) for bad in read.set_aside] == [("p3", "torn")]
    first, _ = read.cases
    assert (first.split, first.notes, first.shape, first.spacing_mm) == ("train", ("seen",), (4, 5, 6), (3.0, 1.0, 1.0))
    back = read.read_image(first)
    np.testing.assert_array_equal(back.voxels, image.voxels)
    assert image.frame.differs_by_voxels(back.frame) < 1e-5
    for name, mask in read.read_masks(first).items():
        np.testing.assert_array_equal(mask, masks[name])


def test_drawn_and_to_be_scored_are_two_facts(dataset):
    first, second = dataset.cases
    assert (first.annotated, first.complete) == (("Liver", "Kidney_L"), ("Liver",))
    assert (second.annotated, second.complete) == (("Kidney_L",), ("Kidney_L",)), "by default what is drawn is scored"
    assert list(dataset.read_masks(second)) == ["Kidney_L"]
    assert not (dataset.folder / "p2/segmentations/Liver.nii.gz").exists(), "not drawn has no mask, not an empty one"


def test_structures_stand_in_the_order_of_the_table(dataset):
    assert dataset.structures == ("Kidney_L", "Liver")


def test_the_layout_is_totalsegmentators(dataset, folder):
    assert sorted(files_of(folder)) == [
        "dataset.json",
        "p1/case.json",
        "p1/ct.nii.gz",
        "p1/segmentations/Kidney_L.nii.gz",
        "p1/segmentations/Liver.nii.gz",
        "p2/case.json",
        "p2/ct.nii.gz",
        "p2/segmentations/Kidney_L.nii.gz",
    ]


def test_the_same_cases_have_the_same_hash_and_one_other_voxel_another(dataset, folder, tmp_path, image, masks):
    def again(name, voxels):
        image.voxels[0, 0, 0] = voxels
        writer = DatasetWriter(tmp_path / name, "A", public=True)
        writer.add("p1", "train", image, masks, complete=("Liver",), notes=("seen",))
        writer.add("p2", "val", image, masks, annotated=("Kidney_L",))
        writer.set_aside("p3", "torn")
        return writer.finish(max_set_aside=0.5).sha256

    assert again("b", image.voxels[0, 0, 0]) == dataset.sha256 == Dataset.open(folder).sha256
    assert again("c", image.voxels[0, 0, 0] + 1) != dataset.sha256


def test_untouched_files_pass_and_changed_or_missing_ones_are_named(dataset, folder):
    dataset.verify()
    (folder / "p1/ct.nii.gz").write_bytes(b"other")
    (folder / "p2/segmentations/Kidney_L.nii.gz").unlink()
    with pytest.raises(DatasetError) as caught:
        dataset.verify()
    assert "found 2 changed or missing: case p1: ct.nii.gz, case p2: segmentations/Kidney_L.nii.gz" in str(caught.value)


def test_an_interrupted_import_is_no_dataset_and_what_is_finished_is_kept(folder, image, masks):
    DatasetWriter(folder, "A").add("p1", "train", image, masks, made_from="key-1")
    with pytest.raises(DatasetError, match=r"wanted a folder with dataset\.json; found none .* run the import"):
        Dataset.open(folder)
    again = DatasetWriter(folder, "A")
    assert again.finished("p2", "key-2") is None
    again.keep(again.finished("p1", "key-1"))
    assert [case.id for case in again.finish().cases] == ["p1"]


def test_a_case_made_from_other_files_is_not_kept(dataset, folder):
    writer = DatasetWriter(folder, "A")
    assert writer.finished("p1", "key-1") == dataset.cases[0]
    assert writer.finished("p1", "key-of-other-files") is None


@pytest.mark.parametrize("damage", ["no image", "cut mask", "no record", "cut record", "record of noise", "no folder"])
def test_a_case_that_is_not_whole_any_more_is_made_again(dataset, folder, image, masks, damage):
    place, whole = folder / "p1", files_of(folder)
    match damage:
        case "no image":
            (place / "ct.nii.gz").unlink()
        case "cut mask":
            os.truncate(place / "segmentations/Liver.nii.gz", 30)
        case "no record":
            (place / "case.json").unlink()
        case "cut record":
            os.truncate(place / "case.json", 100)
        case "record of noise":
            (place / "case.json").write_bytes(b"\xff\xfe\x00noise")
        case "no folder":
            shutil.rmtree(place)
    writer = DatasetWriter(folder, "A", public=True)
    assert writer.finished("p1", "key-1") is None
    writer.add("p1", "train", image, masks, complete=("Liver",), notes=("seen",), made_from="key-1")
    writer.keep(writer.finished("p2", "key-2"))
    writer.set_aside("p3", "torn")
    writer.finish(max_set_aside=0.5)
    assert files_of(folder) == whole


def test_remains_of_a_killed_writer_are_cleared_away(folder, image, masks):
    half = folder / ".p1.unfinished/segmentations"
    half.mkdir(parents=True)
    (half / "Heart.nii.gz").write_bytes(b"half")
    writer = DatasetWriter(folder, "A")
    writer.add("p1", "train", image, masks)
    writer.finish().verify()
    assert sorted(path.name for path in folder.iterdir()) == ["dataset.json", "p1"]


def test_while_a_case_is_written_anew_the_dataset_counts_as_unfinished(dataset, folder, image, masks):
    DatasetWriter(folder, "A").add("p1", "train", image, masks, made_from="key-3")
    with pytest.raises(DatasetError, match="run the import"):
        Dataset.open(folder)


@pytest.mark.parametrize("when", ["first write", "second file", "rename"])
def test_a_full_disk_says_so_and_loses_nothing(dataset, image, masks, monkeypatch, when):
    folder = dataset.folder
    before = files_of(folder)
    fsyncs = []

    def fsync(descriptor):
        fsyncs.append(descriptor)
        if when == "first write" or len(fsyncs) > 3:
            no_room()

    with monkeypatch.context() as full:
        if when == "rename":
            full.setattr("pathlib.Path.mkdir", no_room)
        else:
            full.setattr("os.fsync", fsync)
        writer = DatasetWriter(folder, "A", public=True)
        with pytest.raises(DiskFullError, match="found no room on its disk; free some and run the same command again"):
            writer.add("p4", "train", image, masks)
        with pytest.raises(DiskFullError):
            writer.add("p1", "train", image, masks)
    assert files_of(folder) == before, "neither a half case nor one less"
    assert not list(folder.glob(".*")), "the room of what could not be written is given back"
    Dataset.open(folder).verify()


def test_a_full_disk_at_the_description_keeps_the_cases(folder, image, masks, monkeypatch):
    writer = DatasetWriter(folder, "A")
    writer.add("p1", "train", image, masks, made_from="key-1")
    with monkeypatch.context() as full:
        full.setattr("os.fsync", no_room)
        with pytest.raises(DiskFullError, match=r"wanted to write dataset\.json"):
            writer.finish()
    again = DatasetWriter(folder, "A")
    again.keep(again.finished("p1", "key-1"))
    again.finish().verify()


def test_a_folder_that_may_not_be_written_is_another_error(folder, image, masks, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise OSError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    with pytest.raises(StorageError, match="wanted to write case p1; found: Permission denied") as caught:
        DatasetWriter(folder, "A").add("p1", "train", image, masks)
    assert not isinstance(caught.value, DiskFullError)


def test_an_empty_mask_of_what_is_said_to_be_drawn_is_refused(folder, image, masks):
    writer = DatasetWriter(folder, "A")
    masks["Liver"][:] = False
    with pytest.raises(
        EmptyMaskError, match=r"case p1: wanted the mask of Liver, .* found no voxel in it; take it off"
    ):
        writer.add("p1", "train", image, masks)
    with pytest.raises(EmptyMaskError, match="case p1: wanted the masks of Heart, said to be drawn; found none"):
        writer.add("p1", "train", image, masks, annotated=("Heart",))
    assert not (folder / "p1").exists()


def test_a_structure_scored_but_not_drawn_is_refused(folder, image, masks):
    with pytest.raises(DatasetError, match="wanted complete structures to be annotated too; found Liver"):
        DatasetWriter(folder, "A").add("p1", "train", image, masks, annotated=("Kidney_L",), complete=("Liver",))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("liver", "case p1: wanted standard names; found 'liver'; use Liver"),
        ("Livr", "case p1: wanted the name of a structure; found 'Livr'; nearest: Liver; "),
    ],
)
def test_a_name_that_is_not_standard_is_refused_with_the_one_that_is(folder, image, masks, name, message):
    with pytest.raises(UnknownStructureError, match=message):
        DatasetWriter(folder, "A").add("p1", "train", image, {name: masks["Liver"]})


def test_a_mask_of_another_shape_is_refused(folder, image):
    with pytest.raises(GeometryMismatchError, match=r"case p1, Liver: wanted \(4, 5, 6\) voxels .*; found \(4, 5, 7\)"):
        DatasetWriter(folder, "A").add("p1", "train", image, {"Liver": np.ones((4, 5, 7), dtype=bool)})


@pytest.mark.parametrize("name", ["../up", "Doe^John", ""])
def test_names_that_could_leave_the_folder_are_refused(folder, image, masks, name):
    with pytest.raises(DatasetError, match="wanted 1 to 64 letters"):
        DatasetWriter(folder, "A").add(name, "train", image, masks)
    with pytest.raises(DatasetError, match="wanted 1 to 64 letters"):
        DatasetWriter(folder, name)


def test_the_folder_of_another_site_is_not_overwritten(dataset, folder):
    with pytest.raises(DatasetError, match="site B: wanted an empty folder or its own; found the dataset of site A"):
        DatasetWriter(folder, "B")


def test_too_many_bad_cases_or_no_training_case_make_no_dataset(folder, image, masks):
    writer = DatasetWriter(folder, "A")
    writer.add("p1", "val", image, masks)
    with pytest.raises(NoTrainingCaseError, match="site A: wanted cases of split 'train'"):
        writer.finish()
    writer.add("p2", "train", image, masks)
    for n in (3, 4):
        writer.set_aside(f"p{n}", "torn")
    with pytest.raises(
        TooManyBadCasesError, match=r"(?s)at most 1 bad cases of 4 \(5%\); found 2:\n  p3: torn\n  p4: torn"
    ):
        writer.finish()
    assert not (folder / "dataset.json").exists()


def test_one_id_twice_is_refused(folder, image, masks):
    writer = DatasetWriter(folder, "A")
    writer.add("p1", "train", image, masks)
    writer.set_aside("P1", "torn")
    with pytest.raises(DatasetError, match="wanted each case id once, ignoring case; found P1, p1 twice"):
        writer.finish()


def changed(folder, change):
    path = folder / "dataset.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    return folder


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda d: d.update(sites="A"), UnknownKeyError, "unknown key 'sites'; did you mean 'site'"),
        (lambda d: d.update(format=2), DatasetError, "format: Input should be 1; found 2"),
        (lambda d: d["cases"][0].update(id="../p1"), DatasetError, "wanted 1 to 64 letters"),
        (lambda d: d["cases"][0].update(id="P2"), DatasetError, "found P2, p2 twice"),
        (lambda d: d["cases"][0].update(annotated=["Livr"]), UnknownStructureError, "nearest: Liver"),
        (lambda d: d["cases"][0].update(annotated=["../../x"]), UnknownStructureError, "dataset site-a: wanted"),
    ],
)
def test_a_description_that_was_changed_by_hand_is_checked(dataset, folder, change, error, message):
    with pytest.raises(error, match=message):
        Dataset.open(changed(folder, change))


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"[]"])
def test_a_damaged_description_is_a_dataset_error(dataset, folder, content):
    (folder / "dataset.json").write_bytes(content)
    with pytest.raises(DatasetError, match="dataset site-a: "):
        Dataset.open(folder)


def test_files_exchanged_behind_its_back_are_refused_when_read(dataset, folder):
    first, second = dataset.cases
    (folder / "p1/ct.nii.gz").write_bytes(b"torn")
    with pytest.raises(UnreadableImageError, match="case p1, image: "):
        dataset.read_image(first)
    (folder / "p2/segmentations/Kidney_L.nii.gz").unlink()
    with pytest.raises(UnreadableImageError, match="case p2, Kidney_L: wanted a file that can be read; found: No such"):
        dataset.read_masks(second)
