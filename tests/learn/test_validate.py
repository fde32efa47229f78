from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

from gossamer.learn.validate import mean_by_structure, validate


class ByIntensity(nn.Module):
    """Knows the toy: bright is the left one, dark the right one."""

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))  # says which device

    def forward(self, images_BCZYX):
        hu = images_BCZYX[:, :1] * 100
        return torch.cat([hu - 75.5, -60.5 - hu], dim=1)


def test_scores_are_the_dice_of_the_whole_case(unseen_cases, toy_plan, fabric):
    scores = validate(ByIntensity(), unseen_cases, toy_plan, fabric)
    for case in unseen_cases:
        hu, labels = np.asarray(case.image_hu), np.asarray(case.labels)
        for bit, (name, found) in enumerate([("Kidney_L", hu > 75.5), ("Kidney_R", hu < -60.5)]):
            true = labels >> bit & 1 > 0
            expected = 2 * (found & true).sum() / (found.sum() + true.sum())
            assert scores[case.id][name] == pytest.approx(expected, abs=1e-6)


def test_only_what_is_complete_is_scored(unseen_cases, toy_plan, fabric):
    case = replace(unseen_cases[0], complete=(True, False))
    scores = validate(ByIntensity(), [case], toy_plan, fabric)
    assert set(scores[case.id]) == {"Kidney_L"}
    assert mean_by_structure(scores, toy_plan.structures)["Kidney_R"] is None


class ByIntensityAndFar(ByIntensity):
    """The same, but it takes the dark one for the bright one as well."""

    def forward(self, images_BCZYX):
        hu = images_BCZYX[:, :1] * 100
        return torch.cat([torch.maximum(hu - 75.5, -60.5 - hu), -60.5 - hu], dim=1)


def test_masks_are_made_as_the_plan_says(unseen_cases, toy_plan, fabric):
    network = ByIntensityAndFar()
    every_piece = validate(network, unseen_cases, toy_plan, fabric)
    main = validate(network, unseen_cases, replace(toy_plan, one_piece=("Kidney_L",)), fabric)
    for case in unseen_cases:
        hu, true = np.asarray(case.image_hu), np.asarray(case.labels) & 1 > 0
        found = (hu > 75.5) | (hu < -60.5)
        labels, _ = ndimage.label(found, np.ones((3, 3, 3)))
        sizes = np.bincount(labels[found])
        stays = found & (2 * sizes[labels] >= sizes.max())
        assert every_piece[case.id]["Kidney_L"] == pytest.approx(2 * (found & true).sum() / (found.sum() + true.sum()))
        assert main[case.id]["Kidney_L"] == pytest.approx(2 * (stays & true).sum() / (stays.sum() + true.sum()))
        assert main[case.id]["Kidney_R"] == every_piece[case.id]["Kidney_R"]
    assert main != every_piece


def test_means_are_taken_over_the_cases_that_have_the_organ():
    scores = {"a": {"Kidney_L": 0.5, "Kidney_R": 0.25}, "b": {"Kidney_L": 1.0}}
    assert mean_by_structure(scores, ["Kidney_L", "Kidney_R"]) == {"Kidney_L": 0.75, "Kidney_R": 0.25}


def test_a_network_in_training_is_in_training_again_afterwards(unseen_cases, toy_plan, fabric):
    network = ByIntensity().train()
    validate(network, unseen_cases[:1], toy_plan, fabric)
    assert network.training
