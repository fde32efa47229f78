"""CT slices with contours: who is shown, and that contours lie where the masks do."""

import base64
import io
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from gossamer.png import grey_png
from gossamer.study.report import CasePicture, ChosenCase, SlicePicture, choose_cases, picture_of, render
from gossamer.study.report.pictures import field_mm, organ_colours, slice_svg
from gossamer.study.scores import CaseScore

CHOSEN = ChosenCase("gossip", 0, "A", "A-003", "best", 0.7)


def row(site, case, organ, dsc, *, seed=0, arm="gossip"):
    return CaseScore("val", arm, "s", seed, site, case, organ, dsc, dsc, 1.0, 0 if math.isnan(dsc) else 9, 9)


def chosen(rows):
    return [(c.site, c.case, c.which) for c in choose_cases(rows, arm="gossip", schedule="s", seed=0)]


def test_best_median_and_worst_patient_of_each_site_by_mean_over_drawn_organs():
    rows = [
        *(row("A", f"a{n}", "Larynx", 0.1 * n) for n in range(1, 6)),
        row("A", "a1", "Brainstem", 1.0),  # lifts a1 to .55, above all
        row("A", "a2", "Brainstem", math.nan),  # not drawn: takes nothing from a2
        row("A", "a3", "Larynx", 0.99, seed=1),
        row("A", "a3", "Larynx", 0.99, arm="pooled"),
        row("B", "b1", "Larynx", 0.3),
        row("C", "c1", "Larynx", 0.3),
        row("C", "c2", "Larynx", 0.4),
    ]
    assert chosen(rows) == [
        ("A", "a1", "best"), ("A", "a4", "median"), ("A", "a2", "worst"),
        ("B", "b1", "median"),
        ("C", "c2", "best"), ("C", "c1", "worst"),
    ]  # fmt: skip


def test_slices_show_most_organs_and_then_those_left_out():
    masks = {organ: np.zeros((9, 6, 6), dtype=bool) for organ in ("low", "high", "both", "nowhere")}
    masks["low"][1:3, 1:3, 1:3] = True
    masks["low"][2, 1:5, 1:5] = True
    masks["both"][0:8, 4:6, 4:6] = True
    masks["high"][7, 1:3, 1:3] = True
    picture = picture_of(
        ChosenCase("gossip", 0, "A", "a1", "best", 0.5),
        image_hu=np.zeros((9, 6, 6)),
        spacing_mm=(3.0, 1.0, 2.0),
        reference=masks,
        predicted={"low": masks["low"]},
        dsc={"low": 1.0},
    )
    assert [part.position_mm for part in picture.slices] == [2 * 3.0, 7 * 3.0]
    assert picture.slices[0].spacing_mm == (1.0, 2.0)
    assert set(picture.slices[0].predicted) == {"low"}


def test_png_is_read_back_by_another_library():
    pixels = np.random.default_rng(0).integers(0, 256, (7, 11), dtype=np.uint8)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(grey_png(pixels)))), pixels)


@pytest.fixture
def slice_picture():
    """40 by 30 voxels of 2 by 3 mm; one organ in rows 10 to 13 and columns 20 to 21, and a bright voxel within."""
    image = np.full((40, 30), -160.0)
    image[11, 20] = 240.0
    mask = np.zeros((40, 30), dtype=bool)
    mask[10:14, 20:22] = True
    return SlicePicture(image, (2.0, 3.0), 0.0, {"Larynx": mask}, {"Larynx": np.roll(mask, 1, axis=0)})


def test_contour_runs_along_the_edges_of_the_mask_in_mm(slice_picture):
    svg = slice_svg(slice_picture, {"Larynx": "#fff"}, "t", 50.0)
    drawn, found = (
        np.array([[float(n) for n in pair.split()] for pair in re.findall(r"[\d.]+ [\d.]+", path)])
        for path in re.findall(r'<path d="([^"]+)"', svg)
    )
    assert drawn.min(axis=0).tolist() == [20 * 3.0, 10 * 2.0]  # x, y
    assert drawn.max(axis=0).tolist() == [22 * 3.0, 14 * 2.0]
    assert (found.min(axis=0) - drawn.min(axis=0)).tolist() == [0.0, 2.0]


def test_picture_lies_under_its_contours(slice_picture):
    svg = slice_svg(slice_picture, {"Larynx": "#fff"}, "t", 50.0)
    x, y, width, height, png = re.search(
        r'<image x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)".*base64,([^"]+)"', svg
    ).groups()
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(png))))
    (bright,) = np.argwhere(pixels == 255)
    assert pixels.sum() == 255
    assert float(y) + bright[0] * 2.0 == 11 * 2.0
    assert float(x) + bright[1] * 3.0 == 20 * 3.0
    assert (float(height), float(width)) == (pixels.shape[0] * 2.0, pixels.shape[1] * 3.0)
    left, top, side, _ = map(float, re.search(r'viewBox="([^"]+)"', svg).group(1).split())
    assert (left + side / 2, top + side / 2) == (21 * 3.0, 12 * 2.0)  # centred on the organ


def test_all_slices_are_shown_at_one_scale(slice_picture):
    case = CasePicture(CHOSEN, {"Larynx": 0.5}, (slice_picture,))
    assert field_mm([case]) == max(4 * 2.0, 2 * 3.0) + 2 * 20.0


def test_report_shows_each_hospital_with_its_patients(study, cases_csv, slice_picture):
    pictures = [
        CasePicture(CHOSEN, {"Larynx": 0.8, "Brainstem": 0.6}, (slice_picture,)),
        CasePicture(
            replace(CHOSEN, site="B", which="worst", dsc=0.25), {"Larynx": 0.25}, (slice_picture, slice_picture)
        ),
    ]
    html = render(study[0], cases_csv, pictures)
    assert html.count('class="ct"') == 3
    assert "predicted by gossip, seed 0" in html
    assert "Best patient, mean DSC .700" in html
    assert "Worst patient, mean DSC .250" in html
    assert html.count(f"stroke:{organ_colours(study[0].structures)['Larynx']}") == 6


def test_slice_without_any_contour_is_drawn_whole():
    empty = SlicePicture(np.zeros((4, 6)), (1.0, 1.0), 0.0, {}, {})
    svg = slice_svg(empty, {}, "t", field_mm([CasePicture(CHOSEN, {}, (empty,))]))
    assert 'width="6.00" height="4.00"' in svg
