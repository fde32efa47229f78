"""What a site does not let in: numbers that are none."""

import pytest
import torch

from gossamer.errors import ShareRefusedError
from gossamer.gossip import Mass, Share
from gossamer.node.policy import refuse_unless_finite
from gossamer.wire.messages import Envelope, ShareMessage


def message_with(**params):
    return ShareMessage(Envelope("0" * 64, "B", "A", 0), Share(params, Mass(1.0)))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_share_with_one_number_that_is_not_finite_is_refused_by_the_tensors_name(bad, dtype):
    spoiled = torch.ones(3, 4, dtype=dtype)
    spoiled[1, 2] = bad
    with pytest.raises(ShareRefusedError, match=r"nan or inf in 'head\.bias', in the share of site 'B'"):
        refuse_unless_finite(message_with(body=torch.ones(2), **{"head.bias": spoiled}))


def test_infinities_that_cancel_are_found():
    with pytest.raises(ShareRefusedError, match="'x'"):
        refuse_unless_finite(message_with(x=torch.tensor([float("inf"), float("-inf")])))


@pytest.mark.parametrize(
    "tensor",
    [
        torch.full((4,), torch.finfo(torch.float32).max),
        torch.full((4,), torch.finfo(torch.float64).max, dtype=torch.float64),
        torch.full((9,), torch.finfo(torch.float16).max, dtype=torch.float16),
        torch.full((4,), -torch.finfo(torch.bfloat16).max, dtype=torch.bfloat16),
        torch.empty(0, 3),
        torch.tensor(5e-324, dtype=torch.float64),
        torch.tensor([True, False]),
        torch.tensor([2**62, 2**62]),
    ],
)
def test_finite_numbers_are_let_in_even_where_their_sum_overflows(tensor):
    refuse_unless_finite(message_with(x=tensor))
    assert torch.isfinite(tensor).all()
