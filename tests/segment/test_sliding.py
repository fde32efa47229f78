from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from monai.inferers import sliding_window_inference
from torch import nn

from gossamer.data.network_input import body_centre_yx, network_input
from gossamer.nets import build_network
from gossamer.segment.sliding import logit_planes, predict_logits, window_starts


class PerVoxel(nn.Module):
    """Logits that depend on their own voxel alone, so that windows cannot disagree."""

    def __init__(self, structures, channels=1):
        super().__init__()
        self.conv = nn.Conv3d(channels, structures, 1, bias=False)
        nn.init.orthogonal_(self.conv.weight, generator=torch.Generator().manual_seed(0))

    def forward(self, x):
        return self.conv(x)


class WhereItSits(nn.Module):
    """The same logits whatever the image: the voxel's place in the window."""

    def __init__(self):
        super().__init__()
        self.device = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        places = torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in x.shape[2:]), indexing="ij")
        return torch.stack(places)[None] / 4


def test_windows_start_at_the_edges_and_overlap_by_half():
    assert window_starts(64, 64) == [0]
    assert window_starts(65, 64) == [0, 1]
    assert window_starts(96, 64) == [0, 32]
    assert window_starts(100, 64) == [0, 18, 36]
    assert window_starts(96, 64, overlap=0.25) == [0, 32]
    assert window_starts(112, 64, overlap=0.25) == [0, 48]
    assert window_starts(113, 64, overlap=0.25) == [0, 24, 49]


@pytest.mark.parametrize(("size", "start"), [(64, 0), (63, -1), (60, -2), (5, -30)])
def test_window_longer_than_the_axis_is_centred_on_it(size, start):
    assert window_starts(size, 64) == [start]


@pytest.mark.parametrize("size", [8, 9, 15, 40, 101])
def test_every_voxel_is_in_a_window_and_neighbours_overlap_by_half(size):
    starts = window_starts(size, 8)
    assert (starts[0], starts[-1] + 8) == (0, size)
    assert all(after - before <= 4 for before, after in pairwise(starts))


@pytest.mark.parametrize("shape", [(20, 40, 36), (8, 16, 16), (5, 9, 50), (3, 4, 5), (33, 17, 16)])
def test_network_of_single_voxels_gives_what_it_gives_without_windows(plan, shape):
    hu = np.random.default_rng(1).integers(-300, 400, shape).astype(np.int16)
    network = PerVoxel(3)
    with torch.inference_mode():
        whole = network(torch.from_numpy(network_input(hu, plan, (0, 0)))[None])[0]
    assert torch.allclose(predict_logits(network, plan, hu, (0, 0)).float(), whole, atol=5e-3)


def test_windows_know_where_in_the_body_they_lie(plan):
    plan = replace(plan, position_channels=True)
    hu = np.zeros((9, 30, 37), dtype=np.int16)
    network = PerVoxel(3, channels=3)
    with torch.inference_mode():
        whole = network(torch.from_numpy(network_input(hu, plan, (11.0, 20.5)))[None])[0]
    assert torch.allclose(predict_logits(network, plan, hu, (11.0, 20.5)).float(), whole, atol=5e-3)


def test_disagreeing_windows_are_averaged_as_monai_averages_them(plan):
    # With a length of whole half-windows both place the windows alike. MONAI's own Gaussian is cut off below 0.001.
    hu = np.zeros((16, 32, 24), dtype=np.int16)
    away = torch.meshgrid(*(((torch.arange(w) + 0.5) / w - 0.5) * 8 for w in plan.patch_size), indexing="ij")
    gaussian = torch.exp(-0.5 * sum(a**2 for a in away).double())
    zeros = torch.zeros(1, 1, *hu.shape, dtype=torch.float64)
    theirs = sliding_window_inference(
        zeros, plan.patch_size, 1, WhereItSits(), overlap=0.5, roi_weight_map=gaussian[None, None]
    )[0].float()
    assert torch.allclose(predict_logits(WhereItSits(), plan, hu, (0, 0)).float(), theirs, atol=5e-3)


def test_planes_come_one_by_one_and_memory_is_one_windows_depth(plan, body_hu):
    network = build_network(plan).eval()
    seen = []
    planes = logit_planes(network, plan, body_hu, (0, 0), on_window=lambda done, total: seen.append((done, total)))
    first = next(planes)
    assert first.shape == (3, 40, 36)
    assert first.dtype == torch.float16
    # The first plane is final once the first row of windows is through: 4 x 4 of 4 x 4 x 4.
    assert seen[-1] == (16, 64)
    assert sum(1 for _ in planes) == 19
    assert seen[-1] == (64, 64)


def test_certain_windows_do_not_overflow_half_precision(plan):
    network = PerVoxel(3)
    nn.init.constant_(network.conv.weight, 1e6)
    hu = np.random.default_rng(1).integers(-300, 400, (12, 20, 20)).astype(np.int16)
    logits = predict_logits(network, plan, hu, (0, 0))
    assert torch.isfinite(logits).all()
    assert torch.equal(logits[0] > 0, torch.from_numpy(network_input(hu, plan, (0, 0))[0] > 0))


def test_lower_precision_changes_only_what_lies_near_the_border_of_a_decision(plan, body_hu):
    network = build_network(plan).eval()
    centre = body_centre_yx(body_hu)
    full = predict_logits(network, plan, body_hu, centre)
    lower = predict_logits(network, plan, body_hu, centre, precision=torch.bfloat16)
    assert not torch.equal(full, lower)
    assert torch.allclose(full.float(), lower.float(), atol=0.2)
