from pathlib import Path

from gossamer.data.fingerprint import Fingerprint
from gossamer.data.prepared import PreparedCase
from gossamer.gossip import Mass
from gossamer.learn.mass import mass_of, mass_told


def test_a_sites_mass_counts_its_cases_and_per_structure_those_drawn_for_it():
    drawn = [(True, False), (True, True), (True, False)]
    cases = [PreparedCase("p", "train", a, a, (1, 1, 1), (1, 1), (0.0, 0.0), Path()) for a in drawn]
    mass = mass_of(cases, ("head.weight", "head.bias"))
    assert mass.body == 3
    assert mass.rows == {"head.weight": (3, 1), "head.bias": (3, 1)}


def test_what_a_site_tells_of_its_cases_gives_the_mass_of_its_shares():
    told = Fingerprint(cases=7, annotated={"Liver": 5, "Spleen": 2}).suppressed(3)
    assert mass_told(told, ("Spleen", "Liver"), ("head.weight",)) == Mass(7.0, {"head.weight": (0.0, 5.0)})
