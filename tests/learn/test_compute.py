from dataclasses import replace

import pytest
import torch

from gossamer.learn.compute import compute_for, fastest_precision, flushed_denormals, working_type
from gossamer.learn.recipe import Recipe


def test_threads_are_set_once_for_the_process():
    before = torch.get_num_threads()
    try:
        compute_for(Recipe(threads=1, precision="32-true"), "cpu")
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("avx", "amx", "chosen"), [(True, False, "bf16-mixed"), (False, True, "bf16-mixed"), (False, False, "32-true")]
)
def test_bf16_is_taken_only_where_the_processor_computes_with_it(monkeypatch, avx, amx, chosen):
    monkeypatch.setattr("torch.cpu._is_avx512_bf16_supported", lambda: avx)
    monkeypatch.setattr("torch.cpu._is_amx_tile_supported", lambda: amx)
    assert fastest_precision("cpu") == chosen


def test_a_precision_that_is_asked_for_is_kept(toy_recipe):
    network = torch.nn.Conv3d(1, 1, 1)
    fabric = compute_for(replace(toy_recipe, precision="bf16-mixed"), "cpu")
    wrapped = fabric.setup(network)
    inside = []
    network.register_forward_hook(lambda module, args, output: inside.append(output.dtype))
    wrapped(torch.zeros(1, 1, 2, 2, 2))
    assert inside == [torch.bfloat16]
    assert working_type(fabric) == torch.bfloat16


def test_single_precision_is_single_precision_in_prediction_too(fabric):
    assert working_type(fabric) == torch.float32


@pytest.mark.parametrize(
    ("accelerator", "wanted"),
    [("cpu", {"devices": 1}), ("cuda", {"devices": 2, "strategy": "dp"})],
)
def test_several_devices_share_a_batch_and_a_processor_is_one_device(monkeypatch, toy_recipe, accelerator, wanted):
    """There is no GPU to test on: this tells only what is asked of Fabric."""
    monkeypatch.setattr("gossamer.learn.compute.Fabric", lambda **asked: asked)
    asked = compute_for(replace(toy_recipe, devices=2), accelerator)
    assert asked == {"accelerator": accelerator, "precision": "32-true"} | wanted


def test_smallest_numbers_survive_outside_a_step():
    compute_for(Recipe(), "cpu")
    smallest = torch.tensor(5e-324, dtype=torch.float64)
    assert smallest / 1 > 0
    with flushed_denormals():
        assert not smallest / 1 > 0
    assert smallest / 1 > 0
