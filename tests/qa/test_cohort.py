"""What stands out among cases: against values worked out by hand."""

import base64
import json
import math
import zlib
from dataclasses import asdict

import numpy as np
import pytest

from gossamer.data.boxed_mask import BoxedMask
from gossamer.data.description import Case
from gossamer.data.frame import Frame
from gossamer.data.image import Image
from gossamer.qa.cohort import cohort_of, scores, spread
from gossamer.qa.facts import CaseFacts, OrganFacts, measure, thumbnail_of
from gossamer.qa.page import hounsfield, millilitres


def facts(case, volume_ml=20.0, hu=30.0, *, complete=True, sha256=None, thumbnail=None, organ="Liver"):
    thumbnail = (
        np.random.default_rng(zlib.crc32(case.encode())).integers(-127, 127, 4096) if thumbnail is None else thumbnail
    )
    return CaseFacts(
        case=case, split="train", shape=(10, 20, 20), spacing_mm=(3.0, 1.0, 1.0), extent_mm=(30.0, 20.0, 20.0),
        organs={organ: OrganFacts(volume_ml=volume_ml, hu_median=hu, first=0, last=5, complete=complete,
                                  reaches_first=True, reaches_last=False)},
        notes=(), looks=(), voxels_sha256=sha256 or case,
        thumbnail=base64.b64encode(thumbnail.astype(np.int8).tobytes()).decode(),
    )  # fmt: skip


def test_a_score_is_that_of_iglewicz_and_hoaglin():
    values = [2.1, 2.6, 2.4, 2.5, 2.3, 2.1, 2.3, 2.6, 8.2, 8.3]  # median 2.45, absolute deviations' median 0.15
    assert scores(values, 0.0) == pytest.approx([0.6745 * (value - 2.45) / 0.15 for value in values])


def test_a_spread_smaller_than_the_floor_counts_as_the_floor():
    assert scores([1.0, 1.0, 1.0, 1.5], 0.2) == pytest.approx([0, 0, 0, 0.6745 * 0.5 / 0.2])


def test_a_volume_ten_times_as_large_stands_out_and_twice_as_large_among_many_sizes_does_not():
    volumes = [10, 14, 20, 28, 40, 20, 15, 27, 200]
    cohort = cohort_of("A", [facts(f"c{n}", volume) for n, volume in enumerate(volumes)], ["Liver"])
    [outlier] = cohort.outliers
    deviations = sorted(abs(math.log(volume / 20)) for volume in volumes)
    assert (outlier.case, outlier.what, outlier.value, outlier.median) == ("c8", "volume_ml", 200, 20)
    assert outlier.score == pytest.approx(0.6745 * math.log(10) / deviations[4])
    assert outlier.sentence == f"Liver: volume 200.0 ml, far above the median 20.0 (score {outlier.score:+.1f})"


def test_with_fewer_than_eight_cases_nothing_is_said():
    cases = [facts(f"c{n}") for n in range(6)]
    assert cohort_of("A", [*cases, facts("far", 2000.0, 900.0)], ["Liver"]).outliers == ()
    found = cohort_of("A", [*cases, facts("c6"), facts("far", 2000.0, 900.0)], ["Liver"]).outliers
    assert {(outlier.case, outlier.what) for outlier in found} == {("far", "volume_ml"), ("far", "hu_median")}


def test_what_the_scan_cuts_is_judged_by_its_hu_alone():
    cases = [facts(f"c{n}") for n in range(9)]
    cohort = cohort_of("A", [*cases, facts("cut", 0.1, -500.0, complete=False)], ["Liver"])
    assert [(outlier.case, outlier.what) for outlier in cohort.outliers] == [("cut", "hu_median")]
    [organ] = cohort.organs
    assert (organ.drawn, organ.complete, organ.reach_first, organ.reach_last) == (10, 9, 10, 0)
    assert (organ.volume_ml.count, organ.hu_median.count) == (9, 10)


def test_quartiles_are_those_of_a_hand_count():
    found = spread([1, 2, 3, 4, 10])
    assert (found.count, found.lowest, found.quartile_1, found.median, found.quartile_3, found.highest) == (
        5, 1, 2, 3, 4, 10,
    )  # fmt: skip


def test_equal_cts_and_alike_ones_are_found_and_others_are_not():
    rng = np.random.default_rng(4)
    body = rng.integers(-100, 100, 4096)
    near = np.clip(body + rng.normal(0, 3, 4096), -127, 127)
    cases = [
        facts("a", sha256="1", thumbnail=body), facts("b", sha256="1", thumbnail=body),
        facts("c", thumbnail=near), facts("d"),
    ]  # fmt: skip
    cohort = cohort_of("A", cases, ["Liver"])
    assert cohort.same_ct == (("a", "b"),)
    assert [(one, two) for one, two, _ in cohort.alike] == [("a", "c"), ("b", "c")]
    assert cohort.alike[0][2] == pytest.approx(np.corrcoef(body, np.trunc(near))[0, 1], abs=1e-4)
    assert json.loads(json.dumps(asdict(cohort)))["cases"] == 4


def test_a_thumbnail_holds_the_means_of_the_bodys_blocks():
    voxels = np.full((40, 50, 60), -1000, np.int16)
    voxels[4:36, 5:37, 6:54] = np.repeat(
        np.repeat(np.repeat(np.arange(4096).reshape(16, 16, 16) % 300, 2, 0), 2, 1), 3, 2
    )
    found = thumbnail_of(Image(voxels, Frame.canonical(voxels.shape, (1.0, 1.0, 1.0))))
    away = np.arange(4096) % 300 - np.mean(np.arange(4096) % 300)
    assert (found == np.rint(away / np.abs(away).max() * 127)).all()


def test_volume_and_hu_are_those_of_the_voxels_and_a_left_organ_on_the_right_is_said():
    shape = (6, 20, 60)
    voxels = np.full(shape, -1000, np.int16)
    voxels[:, 4:16, 15:45] = 40
    right, left = np.zeros(shape, bool), np.zeros(shape, bool)
    right[0:3, 8:10, 18:22] = left[2:4, 8:10, 40:44] = True
    voxels[right] = np.arange(24) * 10
    case = Case(
        id="c", split="val", annotated=("Kidney_L", "Kidney_R"), complete=("Kidney_R",), shape=shape,
        spacing_mm=(3.0, 2.0, 2.0), notes=("as imported",),
    )  # fmt: skip
    image = Image(voxels, Frame.canonical(shape, (3.0, 2.0, 2.0)))
    found = measure(case, image, {"Kidney_L": BoxedMask.of(right), "Kidney_R": BoxedMask.of(left)})
    organ = found.organs["Kidney_L"]
    assert (organ.volume_ml, organ.hu_median) == pytest.approx((24 * 12 / 1000, 115.0))
    assert (organ.first, organ.last, organ.reaches_first, organ.reaches_last, organ.complete) == (
        0,
        2,
        True,
        False,
        False,
    )
    assert found.looks[0] == "Kidney_L lies 44 mm to the right of Kidney_R"
    assert found.notes == ("as imported",)


def test_numbers_are_written_as_people_write_them():
    assert [hounsfield(value) for value in (-0.4, 31.6, -120.2)] == ["0", "32", "\u2212120"]
    assert [millilitres(value) for value in (0.417, 31.23, 1480.2)] == ["0.42", "31.2", "1,480"]
