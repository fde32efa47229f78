from pathlib import Path

from gossamer.data.prepared import PreparedCase
from gossamer.learn.mass import mass_of


def test_a_sites_mass_counts_its_cases_and_per_structure_those_drawn_for_it():
    drawn = [(True, False), (True, True), (True, False)]
    cases = [PreparedCase("p", "train", a, a, (1, 1, 1), (1, 1), (0.0, 0.0), Path()) for a in drawn]
    mass = mass_of(cases, ("head.weight", "head.bias"))
    assert mass.body == 3
    assert mass.rows == {"head.weight": (3, 1), "head.bias": (3, 1)}
