"""The learning rate: a pure function of the step, so that a run that was stopped goes on as if it had not been."""

from __future__ import annotations

from math import cos, pi

from gossamer.learn.recipe import Recipe

FIRST = 0.04
"""Learning rate of the first step relative to the highest (one-cycle, arXiv 1708.07120)."""

LAST = 1e-4
"""Learning rate of the last step relative to the highest."""


def learning_rate(step: int, total_steps: int, recipe: Recipe) -> float:
    """Learning rate of a step: a cosine up from ``FIRST``, then a cosine down to ``LAST``.

    Args:
        step: from 0, of this site over the whole run. Beyond ``total_steps`` the last rate stays.
        total_steps: of this site over the whole run.
        recipe: highest rate and warm-up.
    """
    done = min(step / total_steps, 1.0)
    if done < recipe.warm_up:
        return recipe.learning_rate * (FIRST + (1 - FIRST) * _half_cosine(done / recipe.warm_up))
    falling = (done - recipe.warm_up) / (1 - recipe.warm_up)
    return recipe.learning_rate * (1 - (1 - LAST) * _half_cosine(falling))


def _half_cosine(part: float) -> float:
    """From 0 to 1 as ``part`` goes from 0 to 1, flat at both ends."""
    return (1 - cos(pi * part)) / 2
