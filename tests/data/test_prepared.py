from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import numpy as np
import pytest

from gossamer.data import prepared
from gossamer.data.dataset import DatasetWriter
from gossamer.data.description import SetAside
from gossamer.data.fingerprint import fingerprint_of
from gossamer.data.frame import Frame
from gossamer.data.image import Image
from gossamer.data.network_input import body_box, body_centre_yx, network_input
from gossamer.data.plan import NetworkPlan, Plan
from gossamer.data.prepared import CENTRES_PER_STRUCTURE, cache_key, prepare
from gossamer.errors import DiskFullError, PlanError, StorageError, TooManyBadCasesError, UnreadableImageError

PLAN = Plan(
    structures=("Liver", "Kidney_L", "Kidney_R"),
    spacing_mm=(2.0, 2.0, 2.0),
    patch_size=(16, 16, 16),
    hu_low=-100.0,
    hu_high=200.0,
    hu_mean=50.0,
    hu_sd=50.0,
    position_channels=True,
    network=NetworkPlan("unet", (8, 16), ((2, 2, 2),)),
)


@dataclass(frozen=True)
class ACase:
    id: str
    split: str = "train"
    annotated: tuple[str, ...] = ("Liver", "Kidney_L")
    complete: tuple[str, ...] = ("Liver",)


@dataclass
class ADataset:
    """What ``prepare`` needs of a dataset, with patients of 4 x 1 x 1 mm; some of them can be bad."""

    cases: tuple[ACase, ...]
    bad: set[str] = field(default_factory=set)
    site: str = "A"
    set_aside: tuple[SetAside, ...] = ()
    sha256: str = "ab" * 32
    read: list[str] = field(default_factory=list)

    def read_image(self, case):
        self.read.append(case.id)
        if case.id in self.bad:
            raise UnreadableImageError(f"case {case.id}: wanted an image; found a torn file; copy it again")
        voxels = np.full((12, 60, 60), -1000.0)
        voxels[:, 10:50, 14:46] = 40.0
        return SimpleNamespace(voxels=voxels, frame=Frame.canonical(voxels.shape, (4.0, 1.0, 1.0)))

    def read_masks(self, case):
        masks = {name: np.zeros((12, 60, 60), dtype=bool) for name in case.annotated}
        if "Liver" in masks:
            masks["Liver"][2:6, 20:40, 16:26] = True
        if "Kidney_L" in masks:
            masks["Kidney_L"][4:8, 20:40, 22:36] = True  # overlaps the liver
        return masks


def ten(**kwargs):
    return ADataset(tuple(ACase(f"p{n}") for n in range(10)), **kwargs)


def test_a_prepared_case_lies_on_the_plans_grid_and_keeps_overlaps(tmp_path):
    (case,) = prepare(ADataset((ACase("p0"),)), PLAN, tmp_path).cases
    # 48 x 60 x 60 mm at 2 mm: 24 x 30 x 30, of which the body fills y 5 ... 25 and x 7 ... 23; 2 voxels around it
    assert case.shape == case.image_hu.shape == case.labels.shape == (24, 24, 20)
    assert case.image_hu.dtype == np.int16
    assert not case.image_hu.flags.writeable
    assert case.image_hu[12, 12, 10] == 40
    assert case.image_hu[12, 0, 0] == -1000
    assert (case.id, case.split) == ("p0", "train")
    assert case.annotated == (True, True, False)
    assert case.complete == (True, False, False)
    liver, left, right = (case.labels >> np.uint8(c) & 1 for c in range(3))
    np.testing.assert_array_equal(
        np.argwhere(liver).min(axis=0), (4, 7, 3)
    )  # (2*4, 20, 16) mm minus the crop (0, 3, 5)
    np.testing.assert_array_equal(np.argwhere(liver).max(axis=0), (11, 16, 7))
    assert case.voxels == (8 * 10 * 5, 8 * 10 * 7, 0)  # volumes in mm3 / 8, exactly
    assert np.count_nonzero(liver & left) == 4 * 10 * 2
    assert not right.any()
    assert case.centre_yx == pytest.approx((11.5, 9.5))


def test_centres_are_voxels_of_their_structure_spread_over_it(tmp_path):
    (case,) = prepare(ADataset((ACase("p0"),)), PLAN, tmp_path).cases
    for c, size in enumerate(case.voxels):
        rows = case.centres[case.centres[:, 0] == c]
        assert len(rows) == min(size, CENTRES_PER_STRUCTURE)
        assert all(case.labels[tuple(row[1:])] >> c & 1 for row in rows)
    left = case.centres[case.centres[:, 0] == 1]
    assert set(left[:, 1]) == set(range(8, 16))  # every slice of it


def test_preparing_again_reads_no_image_again(tmp_path):
    dataset = ten()
    first = prepare(dataset, PLAN, tmp_path)
    dataset.read.clear()
    assert prepare(dataset, PLAN, tmp_path) == first
    assert dataset.read == []


def test_preparing_goes_on_where_it_was_cut_off(tmp_path):
    class KilledError(Exception):
        pass

    def kill(done, total):
        if done == 4:
            raise KilledError

    dataset = ten()
    with pytest.raises(KilledError):
        prepare(dataset, PLAN, tmp_path, on_case=kill)
    half = tmp_path / cache_key(dataset, PLAN) / ".p4.unfinished"
    half.mkdir()
    (half / "image.npy").write_bytes(b"torn")
    dataset.read.clear()
    assert len(prepare(dataset, PLAN, tmp_path).cases) == 10
    assert dataset.read == [f"p{n}" for n in range(4, 10)]


def test_another_network_reads_the_same_cache_and_another_spacing_does_not():
    dataset = ten()
    assert cache_key(dataset, PLAN) == cache_key(dataset, replace(PLAN, patch_size=(32, 32, 32)))
    assert cache_key(dataset, PLAN) != cache_key(dataset, replace(PLAN, spacing_mm=(2.0, 2.0, 3.0)))
    assert cache_key(dataset, PLAN) != cache_key(dataset, replace(PLAN, structures=("Liver",)))
    assert cache_key(dataset, PLAN) != cache_key(ten(sha256="cd" * 32), PLAN)


def test_progress_is_told_after_each_case(tmp_path):
    told = []
    prepare(ten(bad={"p3"}), PLAN, tmp_path, on_case=lambda done, total: told.append((done, total)))
    assert told == [(n, 10) for n in range(1, 11)]


def test_one_bad_case_is_set_aside_named_and_borne(tmp_path):
    result = prepare(ten(bad={"p3"}), PLAN, tmp_path)
    assert [case.id for case in result.cases] == [f"p{n}" for n in range(10) if n != 3]
    assert [(bad.case, "torn file" in bad.reason) for bad in result.set_aside] == [("p3", True)]


def test_more_than_a_twentieth_of_bad_cases_stops_the_site_and_names_them(tmp_path):
    with pytest.raises(TooManyBadCasesError, match=r"(?s)site A.*p3.*p7"):
        prepare(ten(bad={"p3", "p7"}), PLAN, tmp_path)
    forty = ADataset(tuple(ACase(f"p{n}") for n in range(40)), bad={"p3", "p7"})
    assert len(prepare(forty, PLAN, tmp_path).set_aside) == 2


def test_a_structure_said_to_be_drawn_without_a_voxel_makes_a_bad_case(tmp_path):
    cases = (*ten().cases, ACase("empty", annotated=("Liver", "Kidney_R")))
    (bad,) = prepare(ADataset(cases), PLAN, tmp_path).set_aside
    assert bad.case == "empty"
    assert "Kidney_R" in bad.reason


def test_cases_that_the_import_set_aside_stay_named(tmp_path):
    earlier = SetAside(case="p99", reason="torn")
    assert prepare(ten(set_aside=(earlier,)), PLAN, tmp_path).set_aside == (earlier,)


def test_a_written_dataset_is_prepared_as_it_was_drawn(tmp_path):
    rng = np.random.default_rng(0)
    writer = DatasetWriter(tmp_path / "site", "A")
    liver = np.zeros((20, 24, 28), dtype=bool)
    liver[5:12, 6:14, 7:18] = True
    hu = rng.integers(-50, 60, liver.shape).astype(np.int16)
    frame = Frame.canonical(hu.shape, (2.0, 2.0, 2.0), (5.0, -7.0, 9.0))
    writer.add("p1", "train", Image(hu, frame), {"Liver": liver}, complete=())
    dataset = writer.finish()
    (case,) = prepare(dataset, PLAN, tmp_path / "cache").cases
    np.testing.assert_array_equal(case.image_hu, hu)
    np.testing.assert_array_equal(case.labels, liver)
    assert (case.annotated, case.complete) == ((True, False, False), (False, False, False))
    print_ = fingerprint_of(dataset, dataset.cases)
    assert print_.hu == {int(v): int(n) for v, n in zip(*np.unique(hu[liver], return_counts=True), strict=True)}
    assert (print_.cases, print_.annotated, print_.spacing[0]) == (1, {"Liver": 1}, {40: 1})


def test_a_full_disk_names_the_need_and_loses_nothing(tmp_path, monkeypatch):
    dataset = ten()
    prepare(ADataset(dataset.cases[:2]), PLAN, tmp_path)

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(prepared.np, "save", full)
        with pytest.raises(DiskFullError, match=r"wanted 0\.0 MiB for one more prepared case"):
            prepare(dataset, PLAN, tmp_path)
    dataset.read.clear()
    assert len(prepare(dataset, PLAN, tmp_path).cases) == 10
    assert "p0" not in dataset.read


def test_a_damaged_cache_says_to_prepare_again(tmp_path):
    (case,) = prepare(ADataset((ACase("p0"),)), PLAN, tmp_path).cases
    (case.folder / "image.npy").write_bytes(b"torn")  # before it is first opened
    with pytest.raises(StorageError, match="prepare the dataset again"):
        _ = case.image_hu


def test_more_structures_than_bits_are_refused(tmp_path):
    plan = replace(PLAN, structures=tuple(f"S{n}" for n in range(65)))
    with pytest.raises(PlanError, match="64 structures"):
        prepare(ADataset((ACase("p0", annotated=()),)), plan, tmp_path)


@pytest.mark.parametrize(("structures", "bits"), [(8, 8), (9, 16), (17, 32), (64, 64)])
def test_the_last_structure_has_a_bit_of_its_own(tmp_path, structures, bits):
    names = (*[f"S{n}" for n in range(structures - 1)], "Liver")
    (case,) = prepare(ADataset((ACase("p0"),)), replace(PLAN, structures=names), tmp_path).cases
    assert case.labels.dtype == np.dtype(f"uint{bits}")
    assert case.voxels[-1] == 8 * 10 * 5


def test_the_box_is_the_bodys_and_not_the_couchs():
    hu = np.full((10, 60, 60), -1000.0)
    hu[:, 10:40, 10:50] = 0
    hu[:, 50, 5:55] = 200  # a couch, one voxel thin
    hu[4:6, 2:5, 2:5] = 500  # something small on the skin's side
    assert body_box(hu) == (slice(0, 10), slice(8, 42), slice(8, 52))


def test_an_image_of_air_is_kept_whole():
    hu = np.full((4, 5, 6), -1000.0)
    assert body_box(hu) == (slice(0, 4), slice(0, 5), slice(0, 6))
    assert body_centre_yx(hu) == (2.0, 2.5)


def test_the_network_reads_clipped_intensity_and_place_in_decimetres():
    hu = np.array([[[-1000, 50], [100, 3000]]], dtype=np.int16)
    channels = network_input(hu, PLAN, centre_yx=(10.0, 20.0), first_voxel=(0, 12, 15))
    np.testing.assert_allclose(channels[0], [[[-3, 0], [1, 3]]])
    np.testing.assert_allclose(channels[1], [[[0.04, 0.04], [0.06, 0.06]]])  # 2 and 3 voxels of 2 mm
    np.testing.assert_allclose(channels[2], [[[-0.10, -0.08], [-0.10, -0.08]]], atol=1e-7)
    assert network_input(hu, replace(PLAN, position_channels=False), (10.0, 20.0)).shape == (1, 1, 2, 2)
