import pytest
import torch

from gossamer.errors import PlanError
from gossamer.nets import load_parameters, parameters_of


@pytest.fixture
def network():
    return torch.nn.Sequential(torch.nn.Conv3d(1, 2, 3), torch.nn.Conv3d(2, 2, 1))


def test_parameters_are_copies(network):
    params = parameters_of(network)
    params["0.bias"] += 1
    assert not torch.equal(params["0.bias"], network[0].bias)


def test_loaded_parameters_are_what_was_given_and_stay_apart(network):
    wanted = {name: torch.full_like(tensor, 0.5) for name, tensor in parameters_of(network).items()}
    load_parameters(network, wanted)
    assert all((tensor == 0.5).all() for tensor in parameters_of(network).values())
    wanted["0.bias"] += 1
    assert (network[0].bias == 0.5).all()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda p: p.pop("0.bias"), r"0\.bias"),
        (lambda p: p.update({"2.bias": torch.zeros(2)}), r"2\.bias"),
        (lambda p: p.update({"0.bias": torch.zeros(3)}), r"0\.bias .*\[2\].*\[3\]"),
        (lambda p: p.update({"0.bias": torch.zeros(2, dtype=torch.float64)}), r"float64"),
    ],
)
def test_parameters_that_do_not_fit_are_refused_and_nothing_is_loaded(network, change, named):
    before = parameters_of(network)
    params = {name: torch.zeros_like(tensor) for name, tensor in before.items()}
    change(params)
    with pytest.raises(PlanError, match=named):
        load_parameters(network, params)
    assert all(torch.equal(tensor, before[name]) for name, tensor in parameters_of(network).items())
