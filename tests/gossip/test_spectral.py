from math import cos, pi

import numpy as np
import pytest

from gossamer.errors import ScheduleError
from gossamer.gossip import Topology, build_topology, spectral_gap


@pytest.mark.parametrize("name", ["matching", "epidemic"])
@pytest.mark.parametrize("count", [2, 5, 6])
def test_expected_matrix_is_the_mean_of_many_draws(name, count, sites_named):
    topology = build_topology(name, sites_named(count), 17)
    mean = np.mean([topology.matrix(t) for t in range(3000)], axis=0)
    np.testing.assert_allclose(topology.expected_matrix(), mean, atol=0.04)  # four standard deviations of an entry


def ring_gap(count):
    # A circulant of 1/3, 1/3, 1/3 has the eigenvalues 1/3 + 2/3 cos(2 pi k / n).
    return 1 - max(abs(1 / 3 + 2 / 3 * cos(2 * pi * k / count)) for k in range(1, count))


@pytest.mark.parametrize(
    ("name", "count", "gap"),
    [
        ("mesh", 5, 1.0),
        ("hypercube", 8, 1.0),
        ("base", 7, 1.0),
        ("star", 6, 1.0),
        ("exponential", 8, 1.0),
        ("ring", 4, 2 / 3),
        ("ring", 8, ring_gap(8)),
        ("ring", 16, ring_gap(16)),
        ("static-exponential", 8, 2 / (1 + 3)),  # Ying et al., proposition 1: 2 / (1 + log2 n) for even n
        ("static-exponential", 16, 2 / (1 + 4)),
        ("matching", 4, 2 / 3),  # half to one of n - 1 others: n / (2 (n - 1))
        ("matching", 8, 4 / 7),
    ],
)
def test_spectral_gap_is_the_known_one(name, count, gap, sites_named):
    assert spectral_gap(build_topology(name, sites_named(count), 0)) == pytest.approx(gap, abs=1e-9)


def test_spectral_gap_of_parts_that_never_meet_is_zero(sites_named):
    class TwoPairs(Topology):
        name = "two-pairs"

        def mixing(self, site, exchange):
            here = self.position(site)
            return self.by_name({here: 0.5, here ^ 1: 0.5})

    apart = TwoPairs(sites_named(4), period=1, exchanges_per_round=1, final_exchanges=1)
    assert spectral_gap(apart) == pytest.approx(0)
    never = TwoPairs(sites_named(4), period=0, exchanges_per_round=1, final_exchanges=1)
    with pytest.raises(ScheduleError, match="RandomTopology"):
        spectral_gap(never)
