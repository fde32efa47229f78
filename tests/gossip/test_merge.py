import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from gossamer.gossip import Mass
from gossamer.gossip.merge import merge, scaled_step


def values(*numbers):
    return {"x": torch.tensor(numbers)}


def test_mean_by_mass_by_hand():
    merged = merge([values(1.0), values(2.0), values(5.0)], [Mass(1.0), Mass(2.0), Mass(5.0)], 0)
    assert merged["x"].item() == pytest.approx((1 + 4 + 25) / 8)


def test_rows_count_by_their_own_mass():
    masses = [Mass(1.0, {"x": (3.0, 0.0, 0.0)}), Mass(9.0, {"x": (1.0, 2.0, 0.0)})]
    merged = merge([values(4.0, 4.0, 4.0), values(8.0, 8.0, 8.0)], masses, 0)
    assert merged["x"].tolist() == [5.0, 8.0, 4.0]
    assert merge([values(4.0, 4.0, 4.0), values(8.0, 8.0, 8.0)], masses, 1)["x"].tolist() == [5.0, 8.0, 8.0]


@pytest.mark.parametrize("mine", [0, 1, 2])
def test_row_without_any_mass_stays_the_receivers_in_every_place(mine):
    nothing = Mass(0.0, {"x": (0.0, 1.0)})
    merged = merge([values(1.0, 1.0), values(2.0, 2.0), values(3.0, 3.0)], [nothing] * 3, mine)
    assert merged["x"].tolist() == [mine + 1.0, 2.0]


def test_contribution_without_mass_changes_nothing_and_costs_no_copy():
    one, two = values(1.0, 2.0), values(float("inf"), float("nan"))
    merged = merge([two, one, two], [Mass(0.0), Mass(3.0), Mass(0.0)], 0)
    assert merged["x"] is one["x"]


def test_equal_inputs_give_themselves_to_the_bit_whatever_the_masses():
    same = {"x": torch.randn(1000, generator=torch.Generator().manual_seed(0))}
    merged = merge([same, same, same], [Mass(0.1), Mass(0.7), Mass(1 / 3)], 1)
    assert torch.equal(merged["x"], same["x"])


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_kind_of_number_stays(kind):
    rows = {"x": (1.0, 3.0)}
    merged = merge(
        [{"x": torch.ones(2, 3, dtype=kind), "y": torch.ones(2, dtype=kind)}] * 2, [Mass(1.0, rows), Mass(2.0, rows)], 0
    )
    assert merged["x"].dtype == merged["y"].dtype == kind


def test_parameters_that_still_track_gradients_are_merged_without_a_graph():
    merged = merge([{"x": torch.ones(2, requires_grad=True)}, values(3.0, 3.0)], [Mass(1.0), Mass(1.0)], 0)
    assert not merged["x"].requires_grad


def test_step_is_scaled_by_body_and_by_row():
    start = {"body": torch.tensor([1.0, 1.0]), "head": torch.tensor([[1.0], [1.0], [1.0]])}
    end = {"body": torch.tensor([2.0, 3.0]), "head": torch.tensor([[2.0], [2.0], [2.0]])}
    stepped = scaled_step(start, end, 2.5, {"head": (0.0, 1.0, 0.25)})
    assert stepped["body"].tolist() == [3.5, 6.0]
    assert stepped["head"].tolist() == [[1.0], [2.0], [1.25]]


def test_step_in_full_is_taken_to_the_bit():
    generator = torch.Generator().manual_seed(1)
    start, end = ({"x": torch.randn(1000, generator=generator)} for _ in range(2))
    assert torch.equal(scaled_step(start, end, 1.0, {})["x"], end["x"])


class Operations(TorchDispatchMode):
    """Writes down what is done to tensors of the body's size."""

    def __init__(self):
        super().__init__()
        self.done = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        if isinstance(args[0], torch.Tensor) and args[0].numel() == 1000:
            self.done.append(operation.overloadpacket.__name__)
        return operation(*args, **(kwargs or {}))


@pytest.mark.parametrize(("count", "expected"), [(2, ["lerp"]), (3, ["lerp", "lerp_"]), (1, [])])
def test_merging_makes_one_pass_for_each_further_input_and_one_new_tensor(count, expected):
    params = [{"x": torch.full((1000,), float(site))} for site in range(count)]
    with Operations() as operations:
        merge(params, [Mass(1.0)] * count, 0)
    assert operations.done == expected
