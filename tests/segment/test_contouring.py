"""DICOM series contoured with a network that finds what a test asks for; read again by other readers."""

import itertools
from dataclasses import replace
from datetime import datetime

import numpy as np
import pydicom
import pytest
import torch
from tests.dicom.phantom_series import write_series

from gossamer.data.image import read_mask, read_nifti
from gossamer.dicom.files.headers import read_headers
from gossamer.dicom.rtstruct.filling import fill_structure
from gossamer.dicom.rtstruct.read import read_structure_set
from gossamer.dicom.series.canonical import canonical_image, canonical_mask, native_mask
from gossamer.dicom.series.find import find_series
from gossamer.dicom.series.key import series_key
from gossamer.dicom.series.volume import read_volume
from gossamer.errors import EmptyMaskError, UnreadableImageError
from gossamer.nets import build_network, parameters_of
from gossamer.segment.contouring import contour_series, federation_of
from gossamer.segment.model_file import ModelRecord, read_model, write_model
from gossamer.segment.output import Grid
from gossamer.segment.wanted import Wanted

NOW = datetime(2026, 3, 4, 15, 6, 7)
pytestmark = pytest.mark.usefixtures("files_are_read_here")
AXES = np.eye(3)
ORIENTATIONS = [
    (*(a * first), *(b * second), rising)
    for first, second in itertools.permutations(AXES, 2)
    for a, b, rising in itertools.product((1, -1), (1, -1), (True, False))
]
"""Image Orientation along axes, and whether slices are numbered along the normal: 48."""


@pytest.fixture
def model_finding(plan, tmp_path):
    """A model that sees these structures everywhere and the others nowhere."""

    def make(*found, structures=plan.structures):
        own = replace(plan, structures=structures)
        params = parameters_of(build_network(own))
        params["head.weight"].zero_()
        params["head.bias"] = torch.tensor([9.0 if name in found else -9.0 for name in structures])
        record = ModelRecord(arm="gossip", seed=0, sites={"A": 3, "B": 2}, steps=1, rounds=1, gossamer_version="0.1.0")
        write_model(tmp_path / "m", params, own, record)
        return read_model(tmp_path / "m")

    return make


def series_in(folder, **settings):
    settings.setdefault("voxels", np.full((5, 16, 20), 30))
    settings.setdefault("spacing", (3.0, 1.5, 1.0))
    write_series(folder, **settings)
    [series] = find_series(read_headers(folder).headers).series
    return series


def drawn_in(path, series):
    rois = read_structure_set(path).by_name
    return {name: fill_structure(roi, series.stack, series.sop_instance_uids).mask for name, roi in rois.items()}


@pytest.mark.parametrize("settings", [{}, {"iop": (-1.0, 0, 0, 0, -1, 0)}, {"positions": [0.0, 3.0, 6.0, 10.5, 13.5]}])
def test_structure_set_segmentation_and_nifti_hold_the_same_voxels(tmp_path, model_finding, settings):
    series, model = series_in(tmp_path / "ct", **settings), model_finding("Parotid_L", "SpinalCord")
    written = {}
    for form in ("rtstruct", "seg", "nifti"):
        (tmp_path / form).mkdir()
        written[form] = contour_series(series, model, tmp_path / form, Wanted(form), now=NOW)
        assert written[form].empty == ("Parotid_R",)
    drawn = drawn_in(written["rtstruct"].path, series)
    assert drawn.keys() == {"Parotid_L", "SpinalCord"}
    assert all(mask.all() for mask in drawn.values())
    frames = pydicom.dcmread(written["seg"].path).pixel_array
    assert frames.shape == (10, 16, 20)
    assert frames.all()
    masks = sorted(path.name for path in (tmp_path / "nifti/segmentations").iterdir())
    assert masks == ["Parotid_L.nii.gz", "SpinalCord.nii.gz"]
    mask, frame = read_mask(tmp_path / "nifti/segmentations/SpinalCord.nii.gz")
    assert mask.all()
    ct = read_nifti(tmp_path / "nifti/ct.nii.gz")
    assert ct.frame.differs_by_voxels(frame) < 1e-4
    assert (ct.voxels == 30).all()
    volume_ml = mask.size * np.prod(frame.spacing_mm) / 1000
    found = {"Parotid_L": volume_ml, "Parotid_R": 0, "SpinalCord": volume_ml}
    assert all(one.volumes_ml == pytest.approx(found) for one in written.values())
    assert any("even grid" in note for note in written["nifti"].notes) == ("positions" in settings)


def test_a_file_says_which_model_of_whom_drew_it_and_what_was_left_out(tmp_path, model_finding):
    series, model = series_in(tmp_path / "ct"), model_finding("Parotid_L")
    contoured = contour_series(series, model, tmp_path, Wanted("rtstruct"), now=NOW)
    assert contoured.path == tmp_path / f"RTSTRUCT-{series_key(series.series_uid)}.dcm"
    file = pydicom.dcmread(contoured.path)
    assert file.SOPInstanceUID == contoured.sop_instance_uid
    assert list(file.SoftwareVersions)[1:] == [model.sha256, "gossip: A, B"]
    assert file.StructureSetDescription.startswith("Not found and left out: Parotid_R, SpinalCord. Drawn by software")
    assert (file.StructureSetDate, file.ApprovalStatus) == ("20260304", "UNAPPROVED")


def test_names_longer_than_planning_systems_take_are_shortened_and_said(tmp_path, model_finding):
    structures = ("Glnd_Submandibular_L", "Glnd_Submandibular_R", "Musc_Constrict_S")
    series, model = series_in(tmp_path / "ct"), model_finding(*structures[1:], structures=structures)
    contoured = contour_series(series, model, tmp_path, Wanted("rtstruct"), now=NOW)
    assert drawn_in(contoured.path, series).keys() == {"Glnd_Submandib_R", "Musc_Constrict_S"}
    assert contoured.empty == ("Glnd_Submandibular_L",)
    assert any("Glnd_Submandibular_R is called Glnd_Submandib_R" in note for note in contoured.notes)
    seg = contour_series(series, model, tmp_path, Wanted("seg"), now=NOW)
    labels = [segment.SegmentLabel for segment in pydicom.dcmread(seg.path).SegmentSequence]
    assert labels == ["Glnd_Submandibular_R", "Musc_Constrict_S"]


@pytest.mark.parametrize("form", ["rtstruct", "seg", "nifti"])
def test_where_nothing_is_found_nothing_is_written(tmp_path, model_finding, form):
    series, model = series_in(tmp_path / "ct"), model_finding()
    (tmp_path / "out").mkdir()
    with pytest.raises(EmptyMaskError, match="found none of them"):
        contour_series(series, model, tmp_path / "out", Wanted(form), now=NOW)
    assert list((tmp_path / "out").iterdir()) == []


def test_what_cannot_be_written_is_found_before_the_network_runs(tmp_path, model_finding):
    series, model = series_in(tmp_path / "ct", frame_uid=""), model_finding("Parotid_L")
    ran = []
    with pytest.raises(UnreadableImageError, match="Frame of Reference UID"):
        contour_series(series, model, tmp_path, Wanted("seg"), now=NOW, on_window=lambda *done: ran.append(done))
    assert not ran


@pytest.mark.parametrize("chunk", range(4))
def test_mask_to_nifti_and_back_changes_nothing_in_48_orientations(tmp_path, chunk):
    rng = np.random.default_rng(chunk)
    oblique, prone = (0.8, 0.6, 0.0, -0.48, 0.64, 0.6, True), (-1.0, 0, 0, 0, -1.0, 0, True)
    for number, (*iop, rising) in enumerate([*ORIENTATIONS, oblique, prone][chunk::4]):
        positions = [0.0, 3.0, 6.0] if rising else [6.0, 3.0, 0.0]
        series = series_in(tmp_path / str(number), voxels=None, shape=(3, 4, 5), positions=positions, iop=iop)
        native = rng.random((3, 4, 5)) < 0.5
        image, regular = canonical_image(read_volume(series).voxels, series.stack)
        Grid.of_frame(image.frame).write(
            tmp_path / "mask.nii.gz", canonical_mask(native, series.stack, regular).view(np.uint8)
        )
        mask, frame = read_mask(tmp_path / "mask.nii.gz")
        assert frame.differs_by_voxels(image.frame) < 1e-4
        assert (native_mask(mask, series.stack, regular) == native).all()


def test_the_federation_is_named_by_its_sites_as_far_as_there_is_room():
    record = ModelRecord(arm="gossip", seed=0, sites={}, steps=1, rounds=1, gossamer_version="0.1.0")
    assert federation_of(record.model_copy(update={"sites": {"A": 3, "B": 2}})) == "gossip: A, B"
    many = {f"hospital {n}": 1 for n in range(12)}
    assert federation_of(record.model_copy(update={"sites": many})) == "gossip: 12 sites"
    assert federation_of(record.model_copy(update={"sites": {"Köln": 1}})) == "gossip: 1 sites"


def test_a_federation_with_a_file_of_its_own_is_named_by_that_file_s_hash():
    record = ModelRecord(
        arm="gossip", seed=0, sites={"A": 1}, steps=1, rounds=1, gossamer_version="0.1.0", federation="ab" * 32
    )
    assert federation_of(record) == "ab" * 32
