"""Structure sets as written, found again by a second foreign reader (the first is plastimatch).

No other program here reads RT structure sets, so this one is put together of foreign parts that share nothing with our
reader: DCMTK takes the file apart (``dcm2json``: its own parser, sequences, character sets), and scikit-image fills the
polygons by its own rule. What joins them is the standard's text and stands below: ROIs by number, slices by the image
that a contour refers to (ours goes by positions), points by the plane's equation, contours of a slice by XOR. It
proves that the bytes are sound to another toolkit, that references and points agree, and that another way of filling
gives the same voxels; not how any planning system draws them.

Source: DICOM PS3.3 C.7.6.2.1.1 (Equation C.7.6.2.1-1), C.8.8.5, C.8.8.6; PS3.18 F.2 (DICOM JSON Model).
"""

import json
import shutil
import subprocess

import numpy as np
import pytest
from skimage.draw import polygon2mask
from tests.dicom.outgoing.drawn_masks import (
    AXES,
    KINDS,
    OPENKBP,
    reference_to,
    ring_with_island,
    series_on_disk,
    shape_of,
    turned,
    write,
)

pytestmark = pytest.mark.skipif(shutil.which("dcm2json") is None, reason="needs dcm2json (DCMTK), which is absent")

ROIS, NUMBER, NAME = "30060020", "30060022", "30060026"
ROI_CONTOURS, REFERENCED_NUMBER, CONTOURS = "30060039", "30060084", "30060040"
KIND, POINT_COUNT, POINTS, IMAGES, IMAGE_UID = "30060042", "30060046", "30060050", "30060016", "00081155"


def foreign_masks(path, reference):
    """Masks [k, r, c] by ROI name."""
    said = subprocess.run(["dcm2json", path], capture_output=True, check=True, timeout=60)
    assert said.stderr == b""
    file = json.loads(said.stdout)
    names = {one(item, NUMBER): one(item, NAME) for item in file[ROIS]["Value"]}
    drawn = {one(item, REFERENCED_NUMBER): item[CONTOURS]["Value"] for item in file[ROI_CONTOURS]["Value"]}
    assert names.keys() == drawn.keys()
    assert len(set(names.values())) == len(names)
    return {names[number]: foreign_mask(contours, reference) for number, contours in drawn.items()}


def foreign_mask(contours, reference):
    stack = reference.stack
    mask = np.zeros(stack.shape, bool)
    for contour in contours:
        assert one(contour, KIND) in ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
        points = np.array(contour[POINTS]["Value"], float).reshape(-1, 3)
        assert len(points) == int(one(contour, POINT_COUNT))
        [image] = contour[IMAGES]["Value"]
        k = reference.sop_instance_uids.index(one(image, IMAGE_UID))
        steps = np.stack([stack.row_step_xyz, stack.column_step_xyz], axis=1)
        away = points - stack.first_xyz[k]
        pixels = np.linalg.lstsq(steps, away.T, rcond=None)[0].T
        assert np.abs(pixels @ steps.T - away).max() < 0.01  # in the plane of the image that it refers to
        mask[k] ^= polygon2mask(stack.shape[1:], pixels)
    return mask


def one(item, tag):
    [value] = item[tag]["Value"]
    return value


@pytest.mark.parametrize("holes", ["keyhole", "nested", "xor"])
def test_every_structure_of_every_kind_is_found_again_to_the_voxel(tmp_path, holes):
    rng = np.random.default_rng(23)
    masks = {f"{kind}_{n}": shape_of(kind, rng) for kind in KINDS for n in range(2)}
    reference = reference_to()
    write(tmp_path / "rs.dcm", masks, reference, holes=holes)
    found = foreign_masks(tmp_path / "rs.dcm", reference)
    assert found.keys() == masks.keys()
    for name, mask in masks.items():
        assert (found[name] == mask).all(), name


@pytest.mark.parametrize("directions", [(AXES[2], -AXES[1], -AXES[0]), turned((33, -71))], ids=["prone", "oblique"])
def test_structures_on_prone_and_oblique_slices_are_found_again(tmp_path, directions):
    reference = reference_to(directions)
    masks = {"Frame": ring_with_island(), "Blobs": shape_of("blobs", np.random.default_rng(3))}
    write(tmp_path / "rs.dcm", masks, reference)
    found = foreign_masks(tmp_path / "rs.dcm", reference)
    assert found.keys() == masks.keys()
    assert all((found[name] == mask).all() for name, mask in masks.items())


@pytest.mark.parametrize(
    "settings", [{"tilt_degrees": 15.0}, {"positions": [0.0, 3.0, 7.5, 9.0]}], ids=["tilted", "uneven"]
)
def test_structures_under_a_tilted_gantry_and_on_uneven_slices_are_found_again(tmp_path, settings):
    reference = series_on_disk(tmp_path / "ct", **settings)
    masks = {"Frame": ring_with_island(), "Blobs": shape_of("blobs", np.random.default_rng(3))}
    write(tmp_path / "rs.dcm", masks, reference)
    found = foreign_masks(tmp_path / "rs.dcm", reference)
    assert found.keys() == masks.keys()
    assert all((found[name] == mask).all() for name, mask in masks.items())


@pytest.mark.skipif(not OPENKBP.is_dir(), reason="needs ../shared/data (real patients), which is absent")
def test_real_organs_are_found_again(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    image = nibabel.load(OPENKBP / "train_pt_1_oar.nii.gz")
    labels = np.asarray(image.dataobj).T
    names = json.loads((OPENKBP / "labels.json").read_text())
    masks = {name: labels == int(number) for number, name in names.items() if (labels == int(number)).any()}
    reference = reference_to(shape=labels.shape, spacing=[float(mm) for mm in image.header.get_zooms()[::-1]])
    write(tmp_path / "rs.dcm", masks, reference)
    found = foreign_masks(tmp_path / "rs.dcm", reference)
    assert found.keys() == masks.keys() != set()
    assert all((found[name] == mask).all() for name, mask in masks.items())
