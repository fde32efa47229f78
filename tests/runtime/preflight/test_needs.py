"""What a run needs follows from descriptions, and is no less than what it then takes."""

import math

import pytest
import torch

from gossamer.data.planning import PlanRules
from gossamer.data.prepared import prepare
from gossamer.errors import PlanError
from gossamer.learn.recipe import Recipe
from gossamer.nets import build_network, parameters_of
from gossamer.runtime.preflight import needs as module
from gossamer.runtime.preflight.needs import expected_needs, expected_plan

RULES = PlanRules(channels=(4, 8), patch_size=(8, 8, 8), position_channels=False)
STRUCTURES = ("Parotid_L", "Parotid_R", "Brainstem")


def test_the_plan_is_as_large_as_the_rules_say_though_a_structure_is_drawn_elsewhere(dataset):
    plan = expected_plan(dataset().cases, STRUCTURES, RULES)
    assert (plan.structures, plan.patch_size, plan.spacing_mm) == (STRUCTURES, (8, 8, 8), (3.0, 2.0, 2.0))


def test_prepared_cases_take_no_more_of_the_disk_than_was_said(dataset, tmp_path):
    there = dataset()
    needs = expected_needs(there, STRUCTURES, RULES, Recipe(), peers=1)
    prepare(there, expected_plan(there.cases, STRUCTURES, RULES), tmp_path / "prepared")
    arrays = [path for path in (tmp_path / "prepared").rglob("*.npy") if path.stem != "centres"]
    headers = 128 * len(arrays)
    assert 0 < sum(path.stat().st_size for path in arrays) - headers <= needs.prepared_bytes


@pytest.mark.parametrize("network", ["unet", "dynunet", "segresnet", "sanet"])
def test_every_network_is_counted_without_being_computed(dataset, network):
    rules = PlanRules(network=network, channels=(8, 16, 32), patch_size=(16, 16, 16))
    there = dataset()
    needs = expected_needs(there, STRUCTURES, rules, Recipe(), peers=1)
    plan = expected_plan(there.cases, STRUCTURES, rules)
    assert needs.model_bytes == sum(4 * tensor.numel() for tensor in parameters_of(build_network(plan)).values())
    kept = (needs.device_bytes - module.DEVICE_BYTES - 4 * needs.model_bytes) / module.WORKSPACE
    assert kept == pytest.approx(kept_in_truth(plan), rel=0.1)


def kept_in_truth(plan):
    """Bytes that a real forward pass keeps, counted by where they lie in memory."""
    places = {}

    def note(tensor):
        places[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    network = build_network(plan)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        out = network(torch.zeros(1, plan.input_channels, *plan.patch_size))
    assert out.shape[1] == len(plan.structures)
    return sum(places.values())


def test_more_peers_more_workers_and_larger_batches_need_more(dataset):
    there = dataset()
    base = expected_needs(there, STRUCTURES, RULES, Recipe(), peers=1)
    crowd = expected_needs(there, STRUCTURES, RULES, Recipe(), peers=15)
    assert crowd.run_bytes > base.run_bytes
    assert crowd.prepared_bytes == base.prepared_bytes
    assert expected_needs(there, STRUCTURES, RULES, Recipe(workers=4), peers=1).memory_bytes > base.memory_bytes
    assert expected_needs(there, STRUCTURES, RULES, Recipe(batch_size=8), peers=1).device_bytes > base.device_bytes
    assert all(math.isfinite(size) for size in vars(crowd).values())


def test_rules_that_contradict_each_other_are_a_plan_error(dataset):
    with pytest.raises(PlanError, match="multiples"):
        expected_needs(dataset(), STRUCTURES, PlanRules(patch_size=(9, 16, 16)), Recipe(), peers=1)
