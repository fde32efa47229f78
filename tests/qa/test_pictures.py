"""Pictures hang as radiologists hang them, and contours lie on what they were drawn around."""

import base64
import io
import re

import numpy as np
import pytest

from gossamer.data.boxed_mask import BoxedMask
from gossamer.data.frame import Frame
from gossamer.data.image import Image
from gossamer.qa.pictures import colours_of, plane_svg
from gossamer.qa.planes import AXIAL, CORONAL, SAGITTAL, Plane

SHAPE, SPACING = (20, 50, 60), (5.0, 4.0, 4.0)


@pytest.fixture
def left_front_top():
    """A body with one bright organ in its left, front, upper part, and its mask."""
    voxels = np.full(SHAPE, -1000, np.int16)
    voxels[:, 5:45, 5:55] = 0
    mask = np.zeros(SHAPE, bool)
    mask[14:18, 8:14, 40:48] = True
    voxels[mask] = 500
    return Image(voxels, Frame.canonical(SHAPE, SPACING)), mask


def drawn(image, mask, plane, found=None, name="Spleen"):
    """The picture: grey levels, mm a pixel down and across, the contours' points (x, y) in mm, width and height."""
    pillow = pytest.importorskip("PIL.Image", reason="needs Pillow, which is absent")
    found = {} if found is None else {name: BoxedMask.of(found)}
    svg = plane_svg(image, plane, {name: BoxedMask.of(mask)}, found=found, colours={name: "#FFF"}, title="A <b> case")
    assert "A &lt;b&gt; case" in svg
    png = base64.b64decode(re.search(r"base64,([^\"]+)", svg)[1])
    grey = np.asarray(pillow.open(io.BytesIO(png)))
    width, height = (
        float(mm) for mm in re.search(r'<image x="0" y="0" width="([\d.]+)" height="([\d.]+)"', svg).groups()
    )
    box = [float(mm) for mm in re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg).groups()]
    paths = {
        css: np.array(re.findall(r"[ML]([\d.-]+) ([\d.-]+)", path), float)
        for path, css in re.findall(r'<path d="([^"]*)" style="stroke:#FFF" class="(\w+)"', svg)
    }
    return grey, (height / grey.shape[0], width / grey.shape[1]), paths, box


@pytest.mark.parametrize(
    ("plane", "right", "below"),
    [(Plane(AXIAL, 15), True, False), (Plane(CORONAL, 10), True, False), (Plane(SAGITTAL, 44), False, False)],
)
def test_the_patients_left_is_right_the_front_is_up_or_left_and_the_head_is_up(left_front_top, plane, right, below):
    image, mask = left_front_top
    _, _, paths, (width, height) = drawn(image, mask, plane)
    x, y = paths["drawn"].mean(axis=0)
    assert (x > width / 2) == right
    assert (y > height / 2) == below


@pytest.mark.parametrize("plane", [Plane(AXIAL, 15), Plane(CORONAL, 10), Plane(SAGITTAL, 44)])
def test_a_contour_lies_around_the_bright_voxels_in_mm(left_front_top, plane):
    image, mask = left_front_top
    grey, (dy, dx), paths, (width, height) = drawn(image, mask, plane)
    rows, columns = np.nonzero(grey == 255)
    low, high = paths["drawn"].min(axis=0), paths["drawn"].max(axis=0)
    expected = (columns.min() * dx, rows.min() * dy, (columns.max() + 1) * dx, (rows.max() + 1) * dy)
    assert (*low, *high) == pytest.approx(expected, abs=0.06)
    assert (width, height) == pytest.approx((grey.shape[1] * dx, grey.shape[0] * dy), abs=0.02)
    rest = [axis for axis in range(3) if axis != plane.axis]
    assert (dy, dx) == pytest.approx([SPACING[axis] for axis in rest])
    sides = [np.ptp(np.nonzero(mask.any(axis=plane.axis))[n]) + 1 for n in (0, 1)]
    assert (high - low)[::-1] == pytest.approx([n * SPACING[axis] for n, axis in zip(sides, rest, strict=True)])


def test_air_beside_the_body_is_cut_off_and_slices_are_not():
    voxels = np.full((20, 100, 100), -1000, np.int16)
    voxels[:, 30:80, 20:70] = 0
    image, mask = Image(voxels, Frame.canonical(voxels.shape, (5.0, 4.0, 4.0))), np.zeros(voxels.shape, bool)
    mask[3:6, 40:50, 40:50] = True
    _, _, _, (width, height) = drawn(image, mask, Plane(AXIAL, 4))
    assert (width, height) == (200 + 4 * 4, 200 + 4 * 4)  # 8 mm on each side
    _, _, _, (width, height) = drawn(image, mask, Plane(CORONAL, 45))
    assert (width, height) == (200 + 4 * 4, 100)


def test_a_contour_beside_the_body_is_shown_all_the_same(left_front_top):
    image, mask = left_front_top
    mask[15, 1:3, 57:59] = True
    _, _, paths, (width, height) = drawn(image, mask, Plane(AXIAL, 15))
    assert (paths["drawn"] >= 0).all()
    assert (paths["drawn"] <= (width, height)).all()


def test_very_fine_voxels_are_averaged_and_nothing_moves():
    shape = (4, 330, 301)
    voxels = np.zeros(shape, np.int16)
    mask = np.zeros(shape, bool)
    mask[2, 100:200, 50:101] = True
    voxels[mask] = 500
    image = Image(voxels, Frame.canonical(shape, (3.0, 0.3, 0.6)))
    grey, (dy, dx), paths, _ = drawn(image, mask, Plane(AXIAL, 2))
    assert grey.shape == (165, 301)
    assert (dy, dx) == pytest.approx((0.6, 0.6))
    assert paths["drawn"].min(axis=0) == pytest.approx((30.0, 30.0), abs=0.06)
    rows, columns = np.nonzero(grey == 255)
    assert (rows.min() * dy, columns.min() * dx) == pytest.approx((30.0, 30.0))


def test_what_was_predicted_is_a_contour_of_its_own(left_front_top):
    image, mask = left_front_top
    _, _, paths, _ = drawn(image, mask, Plane(AXIAL, 15), found=np.roll(mask, 3, axis=2))
    assert paths["found"].mean(axis=0) - paths["drawn"].mean(axis=0) == pytest.approx((12.0, 0.0))


def test_a_hundred_structures_have_a_hundred_colours():
    colours = colours_of([f"S{n}" for n in range(100)])
    assert len(set(colours.values())) == 100
    assert all(re.fullmatch(r"#[0-9A-F]{6}", colour) for colour in colours.values())
