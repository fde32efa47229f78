import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gossamer.learn.losses import batch_dice, cross_entropy, segmentation_loss


def a_batch(seed, annotated):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 3, 3, 4, 5, generator=generator)
    target = (torch.rand(2, 3, 3, 4, 5, generator=generator) < 0.3).float()
    return logits.requires_grad_(), target, torch.tensor(annotated, dtype=torch.float32)


@pytest.mark.parametrize("form", ["linear", "logarithmic"])
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    annotated=st.lists(st.lists(st.integers(0, 1), min_size=3, max_size=3), min_size=2, max_size=2),
)
def test_gradient_of_what_was_not_annotated_is_exactly_zero(form, seed, annotated):
    logits, target, drawn = a_batch(seed, annotated)
    segmentation_loss(logits, target, drawn, form).backward()
    assert not logits.grad[drawn == 0].any()
    assert all(channel.any() for channel in logits.grad[drawn == 1])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000))
def test_labels_and_logits_that_were_not_annotated_do_not_change_a_bit_of_the_loss(seed):
    logits, target, drawn = a_batch(seed, [[1, 0, 1], [0, 0, 1]])
    before = segmentation_loss(logits, target, drawn)
    hidden = (drawn == 0)[..., None, None, None]
    after = segmentation_loss(torch.where(hidden, 3.0, logits), torch.where(hidden, 1 - target, target), drawn)
    assert torch.equal(before, after)


def test_nothing_annotated_gives_no_loss_and_no_gradient():
    logits, target, drawn = a_batch(0, [[0, 0, 0], [0, 0, 0]])
    loss = segmentation_loss(logits, target, drawn)
    loss.backward()
    assert loss.item() == 0
    assert not logits.grad.any()


def test_cross_entropy_at_even_odds_is_log_two():
    logits, target, drawn = torch.zeros(1, 2, 2, 2, 2), torch.ones(1, 2, 2, 2, 2), torch.tensor([[1.0, 0.0]])
    assert cross_entropy(logits, target, drawn).item() == pytest.approx(math.log(2))


def test_batch_dice_by_hand():
    # one structure, 8 voxels in two patches: overlap 2 of P = 3 and Y = 4 -> 1 - (2*2 + 1) / (3 + 4 + 1) = 3/8
    probability = torch.tensor([1.0, 1, 0, 0, 0, 0, 1, 0]).reshape(2, 1, 1, 2, 2)
    target = torch.tensor([1.0, 1, 1, 1, 0, 0, 0, 0]).reshape(2, 1, 1, 2, 2)
    assert batch_dice(probability, target, torch.ones(2, 1)).item() == pytest.approx(3 / 8)


def test_logarithmic_dice_by_hand():
    # overlap 2 of P = 3 and Y = 4 -> D = 5/8; a second structure is absent and does not count
    probability = torch.tensor([1.0, 1, 0, 0, 0, 0, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1]).reshape(1, 2, 2, 2, 2)
    target = torch.tensor([1.0, 1, 1, 1, 0, 0, 0, 0, *[0] * 8]).reshape(1, 2, 2, 2, 2)
    assert batch_dice(probability, target, torch.ones(1, 2), "logarithmic").item() == pytest.approx(math.log(8 / 5))


@pytest.mark.parametrize("form", ["linear", "logarithmic"])
def test_cross_entropys_share_is_taken(form):
    logits, target, drawn = a_batch(1, [[1, 0, 1], [0, 0, 1]])
    none, half, whole = (segmentation_loss(logits, target, drawn, form, share).item() for share in (0.0, 0.5, 1.0))
    assert half == pytest.approx((none + whole) / 2)
    assert whole - none == pytest.approx(cross_entropy(logits, target, drawn).item(), rel=1e-4)


def test_dice_is_taken_over_the_batch_and_not_per_patch():
    target = torch.zeros(2, 1, 2, 2, 2)
    target[0] = 1
    probability = target.clone()
    probability[1] = 0.5  # the organ is absent here; alone, this patch would say nothing
    assert batch_dice(probability, target, torch.ones(2, 1)).item() == pytest.approx(1 - 17 / 21)


def test_an_absent_structure_speaks_through_cross_entropy_alone():
    logits = torch.full((1, 1, 8, 8, 8), -4.0, requires_grad=True)
    target, drawn = torch.zeros(1, 1, 8, 8, 8), torch.ones(1, 1)
    assert batch_dice(logits.sigmoid(), target, drawn).item() == 0
    assert torch.equal(segmentation_loss(logits, target, drawn), cross_entropy(logits, target, drawn))


def test_counting_dice_for_an_absent_structure_would_outweigh_a_small_organ_that_is_present():
    """The trap that ``batch_dice`` avoids, shown with the formula it does not use."""
    voxels = 48**3
    naive_logit = torch.full((voxels,), -14.0, requires_grad=True)
    naive = 1 - 1 / (naive_logit.sigmoid().sum() + 1)
    naive.backward()
    present_logit = torch.full((1, 1, 48, 48, 48), -14.0, requires_grad=True)
    target = torch.zeros_like(present_logit)
    target.view(-1)[:250] = 1
    batch_dice(present_logit.sigmoid(), target, torch.ones(1, 1)).backward()
    per_voxel_absent = naive_logit.grad.abs().max()
    per_voxel_present = present_logit.grad.view(-1)[:250].abs().max()
    assert per_voxel_absent > 50 * per_voxel_present
