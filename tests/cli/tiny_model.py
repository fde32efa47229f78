"""A model file whose network is not trained: it sees what it is told to see."""

import torch

from gossamer.data.plan import NetworkPlan, Plan
from gossamer.nets import build_network, parameters_of
from gossamer.segment.model_file import ModelRecord, write_model

PLAN = Plan(
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


def model_that_finds(path, *found):
    """A model that sees these structures everywhere and the others nowhere."""
    params = parameters_of(build_network(PLAN))
    params["head.weight"].zero_()
    params["head.bias"] = torch.tensor([9.0 if name in found else -9.0 for name in PLAN.structures])
    record = ModelRecord(arm="gossip", seed=0, sites={"A": 3}, steps=1, rounds=1, gossamer_version="0.1.0")
    write_model(path, params, PLAN, record)
    return path
