from collections import Counter

import numpy as np
import pytest

from gossamer.data.prepared import read_prepared_case, write_prepared_case
from gossamer.errors import NoTrainingCaseError
from gossamer.learn.patches import PatchMaker, first_voxel
from gossamer.learn.sampling import PatchSampler


def rare_organ_cases(folder, shape=(32, 48, 48), patients=40):
    """Six cubes of 125 voxels, too far apart to share a patch; the last is drawn in 10 of 40 patients only."""
    corners = [(2, 2, 2), (2, 2, 40), (2, 40, 2), (2, 40, 40), (25, 2, 2), (25, 40, 40)]
    cases = []
    for number in range(patients):
        labels = np.zeros(shape, dtype=np.uint8)
        drawn = [c < 5 or number < 10 for c in range(6)]
        rows = []
        for c, (z, y, x) in enumerate(corners):
            if drawn[c]:
                cube = (slice(z, z + 5), slice(y, y + 5), slice(x, x + 5))
                labels[cube] |= np.uint8(1 << c)
                rows.append([c, z + 2, y + 2, x + 2])
        arrays = {"image": np.zeros(shape, np.int16), "labels": labels, "centres": np.array(rows, np.int16)}
        write_prepared_case(folder / f"p{number:02d}", arrays, split="train", annotated=drawn, complete=drawn)
        cases.append(read_prepared_case(folder / f"p{number:02d}"))
    return cases


@pytest.fixture(scope="module")
def rare_cases(tmp_path_factory):
    return rare_organ_cases(tmp_path_factory.mktemp("rare"))


def test_a_structure_drawn_in_ten_of_forty_cases_is_seen_in_a_tenth_of_patches(rare_cases, toy_recipe):
    sampler = PatchSampler(rare_cases, toy_recipe, seed=3, site="A")
    size = (24, 24, 24)
    seen = 0
    for index in range(600):
        place = sampler.place(index)
        case = rare_cases[place.case]
        start = first_voxel(place.centre, size, case.image_hu.shape)
        patch = case.labels[tuple(slice(s, s + n) for s, n in zip(start, size, strict=True))]
        seen += bool((patch >> 5 & 1).any())
    assert seen >= 60


def test_structures_come_evenly_whatever_their_number_of_patients(rare_cases, toy_recipe):
    sampler = PatchSampler(rare_cases, toy_recipe, seed=3, site="A")
    chosen = Counter(sampler.place(index).structure for index in range(700))
    anywhere = chosen.pop(None)
    assert 190 < anywhere < 280  # a third of 700, four standard deviations around it
    assert set(chosen) == set(range(6))
    assert min(chosen.values()) > 50  # 78 expected each


def test_a_patch_chosen_for_a_structure_comes_from_a_case_drawn_for_it(rare_cases, toy_recipe):
    sampler = PatchSampler(rare_cases, toy_recipe, seed=3, site="A")
    for index in range(200):
        place = sampler.place(index)
        if place.structure is not None:
            assert rare_cases[place.case].annotated[place.structure]


def test_the_place_of_a_patch_depends_on_seed_site_and_number_alone(rare_cases, toy_recipe):
    once = PatchSampler(rare_cases, toy_recipe, seed=3, site="A")
    again = PatchSampler(rare_cases, toy_recipe, seed=3, site="A")
    forwards = [once.place(index) for index in range(30)]
    backwards = [again.place(index) for index in reversed(range(30))]
    assert forwards == backwards[::-1]
    assert forwards != [PatchSampler(rare_cases, toy_recipe, 4, "A").place(index) for index in range(30)]
    assert forwards != [PatchSampler(rare_cases, toy_recipe, 3, "B").place(index) for index in range(30)]


def test_no_case_is_an_error_that_names_the_site(toy_recipe):
    with pytest.raises(NoTrainingCaseError, match="site B"):
        PatchSampler([], toy_recipe, seed=0, site="B")


def test_patches_begin_inside_the_image_or_around_it():
    assert first_voxel((0, 10, 47), (16, 16, 16), (20, 24, 48)) == (0, 2, 32)
    assert first_voxel((3, 3, 3), (16, 16, 16), (10, 16, 17)) == (-3, 0, 0)


def test_a_patch_beyond_the_edge_is_air_without_labels(tmp_path, toy_plan, still):
    arrays = {
        "image": np.full((4, 20, 20), 40, np.int16),
        "labels": np.ones((4, 20, 20), np.uint8),
        "centres": np.array([[0, 2, 10, 10]], np.int16),
    }
    write_prepared_case(tmp_path / "thin", arrays, split="train", annotated=[True, False], complete=[True, False])
    patch = PatchMaker([read_prepared_case(tmp_path / "thin")], toy_plan, still, seed=0, site="A").patch(0)
    assert patch.image.shape == (1, 16, 16, 16)
    np.testing.assert_allclose(patch.image[0, 6:10], 0.4)  # 40 HU, mean 0, sd 100
    np.testing.assert_allclose(patch.image[0, :6], -2.0)  # air, clipped at -200
    assert patch.labels[6:10].all()
    assert not patch.labels[:6].any()
    assert not patch.labels[10:].any()
    assert patch.annotated.tolist() == [True, False]
