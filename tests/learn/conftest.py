from dataclasses import replace

import numpy as np
import pytest

from gossamer.data.plan import NetworkPlan, Plan
from gossamer.data.prepared import arrays_on_grid, read_prepared_case, write_prepared_case
from gossamer.learn.compute import compute_for
from gossamer.learn.recipe import Recipe

STRUCTURES = ("Kidney_L", "Kidney_R")


@pytest.fixture(scope="session")
def toy_plan():
    return Plan(
        structures=STRUCTURES,
        spacing_mm=(2.0, 2.0, 2.0),
        patch_size=(16, 16, 16),
        hu_low=-200.0,
        hu_high=300.0,
        hu_mean=0.0,
        hu_sd=100.0,
        position_channels=False,
        network=NetworkPlan("unet", (8, 16), ((2, 2, 2),)),
    )


@pytest.fixture(scope="session")
def toy_recipe():
    return Recipe(
        batch_size=2, learning_rate=1e-2, centre_jitter_voxels=2, warp_share=0.0, threads=1, precision="32-true"
    )


@pytest.fixture(scope="session")
def fabric(toy_recipe):
    return compute_for(toy_recipe, "cpu")


def make_case(folder, plan, number, *, annotated=(True, True), split="train", shape=(20, 24, 28)):
    """A bright ball (left) and a dim box (right) in noise, at random places."""
    rng = np.random.default_rng(number)
    z, y, x = np.indices(shape)
    left = (z - rng.integers(7, 13)) ** 2 + (y - rng.integers(7, 17)) ** 2 + (x - 20) ** 2 < 16
    low = rng.integers(4, 12, 2)
    right = (z >= low[0]) & (z < low[0] + 6) & (y >= low[1]) & (y < low[1] + 6) & (x >= 4) & (x < 9)
    hu = rng.normal(0, 20, shape) + 150 * left - 120 * right
    drawn = {
        name: mask for name, mask, is_drawn in zip(plan.structures, (left, right), annotated, strict=True) if is_drawn
    }
    place = folder / f"case-{number:03d}"
    write_prepared_case(
        place, arrays_on_grid(hu, drawn, plan.spacing_mm, plan), split=split, annotated=annotated, complete=annotated
    )
    return read_prepared_case(place)


@pytest.fixture(scope="session")
def toy_cases(tmp_path_factory, toy_plan):
    folder = tmp_path_factory.mktemp("toy")
    return [make_case(folder, toy_plan, number) for number in range(8)]


@pytest.fixture(scope="session")
def half_drawn_cases(tmp_path_factory, toy_plan):
    """The same patients, but the right structure is drawn in every other one only."""
    folder = tmp_path_factory.mktemp("half")
    return [make_case(folder, toy_plan, number, annotated=(True, number % 2 == 0)) for number in range(8)]


@pytest.fixture(scope="session")
def unseen_cases(tmp_path_factory, toy_plan):
    folder = tmp_path_factory.mktemp("unseen")
    return [make_case(folder, toy_plan, number, split="val") for number in range(100, 104)]


@pytest.fixture
def still(toy_recipe):
    """A recipe without augmentation."""
    return replace(toy_recipe, intensity_scale=0.0, intensity_shift=0.0, centre_jitter_voxels=0)
