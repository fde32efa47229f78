import pytest

from gossamer.learn.recipe import Recipe
from gossamer.learn.schedule import learning_rate

RECIPE = Recipe(learning_rate=1.0, warm_up=0.25)


def test_learning_rate_rises_to_its_highest_and_falls_to_almost_nothing():
    rates = [learning_rate(step, 100, RECIPE) for step in range(101)]
    assert rates[0] == pytest.approx(0.04)
    assert rates[25] == pytest.approx(1.0)
    assert rates[100] == pytest.approx(1e-4)
    assert rates[:26] == sorted(rates[:26])
    assert rates[25:] == sorted(rates[25:], reverse=True)


def test_learning_rate_half_way_down_is_half():
    assert learning_rate(625, 1000, RECIPE) == pytest.approx(0.5, abs=1e-4)


def test_learning_rate_beyond_the_end_stays_at_the_last():
    assert learning_rate(150, 100, RECIPE) == learning_rate(100, 100, RECIPE)


def test_no_warm_up_begins_at_the_highest():
    assert learning_rate(0, 100, Recipe(learning_rate=1.0, warm_up=0.0)) == pytest.approx(1.0)
