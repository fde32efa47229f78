from dataclasses import replace

import numpy as np
import pytest
import torch

from gossamer.data.plan import NetworkPlan, Plan
from gossamer.errors import PlanError
from gossamer.nets import NETWORKS, build_network, load_parameters, output_rows, parameters_of

WIDTHS = {"unet": (8, 16, 32), "dynunet": (8, 16, 32), "segresnet": (8, 16, 32), "sanet": (8, 16, 32)}


def plan_for(name, strides=((2, 2, 2), (2, 2, 2))):
    return Plan(
        structures=("Liver", "Spleen", "Stomach"),
        spacing_mm=(3.0, 2.0, 2.0),
        patch_size=(8, 8, 16),
        hu_low=-100.0,
        hu_high=200.0,
        hu_mean=50.0,
        hu_sd=40.0,
        position_channels=True,
        network=NetworkPlan(name, WIDTHS[name], strides),
    )


@pytest.fixture(params=sorted(NETWORKS))
def plan(request):
    return plan_for(request.param)


def an_image(plan, seed=0):
    return torch.randn(1, plan.input_channels, *plan.patch_size, generator=torch.Generator().manual_seed(seed))


def test_every_network_gives_a_logit_per_structure_and_voxel(plan):
    assert build_network(plan)(an_image(plan)).shape == (1, 3, *plan.patch_size)


@pytest.mark.parametrize("name", ["unet", "dynunet", "sanet"])
def test_strides_may_differ_between_axes(name):
    plan = plan_for(name, ((1, 2, 2), (2, 2, 2)))
    assert build_network(plan)(an_image(plan)).shape == (1, 3, *plan.patch_size)


def test_segresnet_refuses_strides_that_differ_and_names_those_that_do_not():
    with pytest.raises(PlanError, match="dynunet"):
        build_network(plan_for("segresnet", ((1, 2, 2), (2, 2, 2))))


def test_rows_of_the_output_are_independent_structures(plan):
    """Another head row changes its own structure's logits and no other's: what label-aware merge rests on."""
    network = build_network(plan).eval()
    before = network(an_image(plan))
    rows = output_rows(network)
    params = parameters_of(network)
    assert [params[name].shape[0] for name in rows] == [3, 3]
    for name in rows:
        params[name][1] += 1.0
    load_parameters(network, params)
    after = network(an_image(plan))
    assert torch.equal(before[:, [0, 2]], after[:, [0, 2]])
    assert not torch.equal(before[:, 1], after[:, 1])


def test_the_head_is_a_convolution_of_one_voxel_with_bias(plan):
    params = parameters_of(build_network(plan))
    assert params["head.weight"].shape[2:] == (1, 1, 1)
    np.testing.assert_array_equal(params["head.bias"], -4.0)


def test_networks_keep_no_running_statistics(plan):
    network = build_network(plan)
    assert not list(network.buffers())
    assert set(parameters_of(network)) == {name for name, _ in network.named_parameters()}


def test_every_parameter_has_a_gradient(plan):
    network = build_network(plan)
    network(an_image(plan)).square().sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


def test_the_seed_alone_decides_the_initial_parameters(plan):
    torch.manual_seed(1)
    first = parameters_of(build_network(plan, seed=3))
    torch.manual_seed(2)
    before = torch.get_rng_state()
    second = parameters_of(build_network(plan, seed=3))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = parameters_of(build_network(plan, seed=4))
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_an_unknown_network_is_refused_with_the_known_ones(plan):
    with pytest.raises(PlanError, match="unet, dynunet, segresnet, sanet"):
        build_network(replace(plan, network=replace(plan.network, name="vnet")))


def test_levels_and_strides_that_do_not_fit_are_refused(plan):
    with pytest.raises(PlanError, match="a stride between each"):
        build_network(replace(plan, network=replace(plan.network, strides=((2, 2, 2),))))


def test_scale_attention_weighs_scales_against_each_other():
    """A scale's weights sum to 1 over scales: maps alike at all scales come through as they are."""
    from gossamer.nets.sanet import ScaleAttention

    attention = ScaleAttention((4, 4), 4)
    for project in attention.project:
        torch.nn.init.dirac_(project.weight)
        torch.nn.init.zeros_(project.bias)
    image = torch.ones(1, 4, 8, 8, 8) * torch.arange(4.0)[None, :, None, None, None]
    torch.testing.assert_close(attention([image, image[..., ::2, ::2, ::2]], (8, 8, 8)), image)
