import numpy as np
import pytest
import torch

from gossamer.data.plan import NetworkPlan, Plan


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def plan():
    return Plan(
        structures=("Parotid_L", "Parotid_R", "SpinalCord"),
        spacing_mm=(3.0, 2.0, 2.0),
        patch_size=(8, 16, 16),
        hu_low=-200.0,
        hu_high=300.0,
        hu_mean=10.0,
        hu_sd=100.0,
        position_channels=False,
        network=NetworkPlan("unet", (8, 16), ((2, 2, 2),)),
    )


@pytest.fixture
def body_hu():
    """int16 [20, 40, 36]: an ellipsoid of soft tissue with noise, in air."""
    z, y, x = np.ogrid[:20, :40, :36]
    inside = ((z - 9.5) / 9) ** 2 + ((y - 19.5) / 17) ** 2 + ((x - 17.5) / 15) ** 2 < 1
    noise = np.random.default_rng(0).normal(40, 60, inside.shape)
    return np.where(inside, noise, -1000).astype(np.int16)
