import errno
import json
import os

import nibabel
import numpy as np
import pytest
import SimpleITK

from gossamer.data.image import read_mask_nifti, read_nifti
from gossamer.errors import DiskFullError, EmptyMaskError, UsageError
from gossamer.evaluate.predicted import mask_files, read_record
from gossamer.nets import build_network, parameters_of
from gossamer.segment.masks import PackedMasks
from gossamer.segment.model_file import ModelRecord, read_model, write_model
from gossamer.segment.output import ImageFile, find_images, write_prediction

LAS_OBLIQUE = np.array([[1.5, 0.1, 0, -40], [-0.1, 1.5, 0, -60], [0, 0, -3.0, 200], [0, 0, 0, 1]])


@pytest.fixture
def model(plan, tmp_path):
    record = ModelRecord(arm="pooled", seed=0, sites={"A": 1}, steps=1, rounds=0, gossamer_version="0.1.0")
    write_model(tmp_path / "m.safetensors", parameters_of(build_network(plan)), plan, record)
    return read_model(tmp_path / "m.safetensors")


@pytest.fixture
def source(tmp_path):
    """An oblique CT whose file runs from head to feet; its voxels count upwards, so that each is known."""
    array = np.arange(6 * 7 * 5, dtype=np.int16).reshape(6, 7, 5)
    image = nibabel.Nifti1Image(array, LAS_OBLIQUE)
    nibabel.save(image, tmp_path / "HN-017.nii.gz")
    return ImageFile("HN-017", tmp_path / "HN-017.nii.gz")


def masks_where(image, **below):
    """Masks of the voxels whose value is below a number."""
    masks = PackedMasks(("Parotid_L", "Parotid_R", "SpinalCord"), image.frame.shape)
    for row, name in enumerate(masks):
        for z in range(len(image.voxels)):
            masks.set_plane(z, np.array([row]), image.voxels[z][None] < below.get(name, 0))
    return masks


def test_masks_are_written_on_the_grid_and_axes_of_the_cts_own_file(tmp_path, source, model):
    image = read_nifti(source.path)
    masks = masks_where(image, Parotid_L=50, SpinalCord=20)
    out = tmp_path / "out"
    out.mkdir()
    write_prediction(out, source, image, masks, model, label_map=False)

    assert sorted(mask_files(out / "HN-017")) == ["Parotid_L", "SpinalCord"]
    written = nibabel.load(out / "HN-017/segmentations/Parotid_L.nii.gz")
    assert np.allclose(written.affine, LAS_OBLIQUE)
    assert np.array_equal(np.asarray(written.dataobj) == 1, np.asarray(nibabel.load(source.path).dataobj) < 50)
    assert np.array_equal(
        read_mask_nifti(out / "HN-017/segmentations/SpinalCord.nii.gz", image.frame), masks["SpinalCord"]
    )


def test_another_program_sees_mask_and_ct_in_one_place(tmp_path, source, model):
    image = read_nifti(source.path)
    write_prediction(tmp_path, source, image, masks_where(image, Parotid_L=50), model, label_map=False)
    ct, mask = (SimpleITK.ReadImage(tmp_path / p) for p in ("HN-017.nii.gz", "HN-017/segmentations/Parotid_L.nii.gz"))
    assert np.allclose(ct.GetOrigin(), mask.GetOrigin(), atol=1e-4)
    assert np.allclose(ct.GetDirection(), mask.GetDirection(), atol=1e-5)
    below = SimpleITK.GetArrayFromImage(ct) < 50
    assert np.array_equal(SimpleITK.GetArrayFromImage(mask) == 1, below)


def test_record_names_model_image_volumes_and_what_was_not_found(tmp_path, source, model):
    image = read_nifti(source.path)
    write_prediction(tmp_path, source, image, masks_where(image, Parotid_L=50), model, label_map=False)
    record = read_record(tmp_path / "HN-017")
    assert record.model_sha256 == model.sha256
    assert record.not_found == ("Parotid_R", "SpinalCord")
    # 50 voxels; the volume of one is the affine's determinant.
    assert record.volumes_ml["Parotid_L"] == pytest.approx(50 * abs(np.linalg.det(LAS_OBLIQUE[:3, :3])) / 1000)
    assert "Not a medical device" in json.loads((tmp_path / "HN-017/prediction.json").read_text())["intended_use"]


def test_label_map_says_how_many_voxels_it_had_to_decide(tmp_path, source, model):
    image = read_nifti(source.path)
    masks = masks_where(image, Parotid_L=50, SpinalCord=20)
    record = write_prediction(tmp_path, source, image, masks, model, label_map=True)
    assert record.label_map.decided_voxels == 20
    assert record.label_map.labels == {"Parotid_L": 1, "Parotid_R": 2, "SpinalCord": 3}
    labels = np.asarray(nibabel.load(tmp_path / "HN-017/labelmap.nii.gz").dataobj)
    values = np.asarray(nibabel.load(source.path).dataobj)
    assert np.array_equal(labels, np.select([values < 20, values < 50], [3, 1]))


def test_empty_masks_leave_nothing_behind(tmp_path, source, model):
    image = read_nifti(source.path)
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(EmptyMaskError, match=r"HN-017.*Parotid_L.*wrote nothing"):
        write_prediction(out, source, image, masks_where(image), model, label_map=True)
    assert list(out.iterdir()) == []


def test_full_disk_leaves_no_half_result(tmp_path, source, model, monkeypatch):
    image = read_nifti(source.path)
    out = tmp_path / "out"
    out.mkdir()

    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFullError):
        write_prediction(out, source, image, masks_where(image, Parotid_L=50), model, label_map=False)
    assert list(out.iterdir()) == []


def test_nothing_is_written_where_something_lies(tmp_path, source, model):
    (tmp_path / "HN-017").mkdir()
    (tmp_path / "HN-017/ct.nii.gz").write_bytes(b"theirs")
    image = read_nifti(source.path)
    with pytest.raises(UsageError, match="HN-017: wanted to write its masks; found that something lies in its place"):
        write_prediction(tmp_path, source, image, masks_where(image, Parotid_L=50), model, label_map=False)
    assert (tmp_path / "HN-017/ct.nii.gz").read_bytes() == b"theirs"


def test_images_are_found_as_a_file_in_a_folder_and_in_a_dataset(tmp_path):
    for name in ("b.nii.gz", "a.nii", "notes.txt", "case_7/ct.nii.gz", "case_7/segmentations/Liver.nii.gz"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert [image.case for image in find_images(tmp_path)] == ["a", "b", "case_7"]
    assert [image.case for image in find_images(tmp_path / "case_7/ct.nii.gz")] == ["case_7"]
    assert [image.case for image in find_images(tmp_path / "b.nii.gz")] == ["b"]


def test_images_of_an_unfinished_import_and_other_systems_remains_are_passed_over(tmp_path):
    for name in ("a.nii.gz", "._a.nii.gz", "case_7/ct.nii.gz", ".case_8.unfinished/ct.nii.gz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert [image.case for image in find_images(tmp_path)] == ["a", "case_7"]


def test_no_image_or_two_of_one_name_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"\.nii\.gz"):
        find_images(tmp_path)
    for name in ("a.nii.gz", "a.nii"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(UsageError, match="several called a"):
        find_images(tmp_path)
