import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  # torch's own name for it

from gossamer.nets.convolution import FewChannelsConv3d, PointwiseConv3d

KINDS = {
    "few channels": (lambda: FewChannelsConv3d(9, 8), lambda: nn.Conv3d(9, 8, 3, padding=1)),
    "pointwise": (lambda: PointwiseConv3d(9, 8), lambda: nn.Conv3d(9, 8, 1)),
}

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2e-2}


@pytest.fixture(params=KINDS.values(), ids=KINDS.keys())
def pair(request):
    """Ours, and torch's own from the same seed."""
    made = []
    for make in request.param:
        torch.manual_seed(0)
        made.append(make())
    return made


def some_maps(batch=2):
    return torch.randn(batch, 9, 6, 5, 7, generator=torch.Generator().manual_seed(1))


def test_parameters_have_the_names_and_values_of_torchs_own(pair):
    ours, torchs = (layer.state_dict() for layer in pair)
    assert list(ours) == list(torchs)
    assert all(torch.equal(ours[name], torchs[name]) for name in ours)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_maps_and_gradients_are_those_of_torchs_own_but_for_rounding(pair, dtype):
    found = []
    for layer in pair:
        maps = some_maps().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            out = layer(maps)
        F.mse_loss(out.float(), torch.ones_like(out, dtype=torch.float32)).backward()
        found.append([out, maps.grad, layer.weight.grad, layer.bias.grad])
    for ours, torchs in zip(*found, strict=True):
        assert ours.shape == torchs.shape
        assert ours.dtype == torchs.dtype
        worst = (ours - torchs).abs().max() / torchs.abs().max()
        assert worst < TOLERANCE[dtype]


def test_each_image_of_a_batch_stands_for_itself(pair):
    ours, _ = pair
    maps = some_maps()
    assert torch.allclose(ours(maps), torch.cat([ours(one[None]) for one in maps]), atol=1e-6)
