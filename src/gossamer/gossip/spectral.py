"""How fast a topology mixes, and whether it averages exactly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gossamer.errors import ScheduleError
from gossamer.gossip.random_graphs import RandomTopology
from gossamer.gossip.topology import Topology

TOLERANCE = 1e-12
"""Products of some ten matrices of fractions such as 1/3 are exact to about 1e-15."""

RANDOM_DRAWS = 32
"""How many exchanges of a random schedule are looked at; one that sends one way at random is found out by the first."""


def product(topology: Topology, start: int, exchanges: int) -> NDArray[np.float64]:
    """The matrix [receiver, sender] of ``exchanges`` exchanges in a row, the first of them ``start``."""
    whole = np.eye(len(topology.sites))
    for exchange in range(start, start + exchanges):
        whole = topology.matrix(exchange) @ whole
    return whole


def averages_exactly(topology: Topology, start: int, exchanges: int) -> bool:
    """Whether these exchanges spread every site's mass evenly: all entries of the product are 1 / n."""
    whole = product(topology, start, exchanges)
    return bool(np.allclose(whole, 1 / len(topology.sites), rtol=0, atol=TOLERANCE))


def is_doubly_stochastic(topology: Topology) -> bool:
    """Whether rows sum to 1 at every exchange of a period (of the first ``RANDOM_DRAWS`` if there is none)."""
    exchanges = range(topology.period or RANDOM_DRAWS)
    return all(np.allclose(topology.matrix(t).sum(axis=1), 1, rtol=0, atol=TOLERANCE) for t in exchanges)


def spectral_gap(topology: Topology) -> float:
    """``1 - |lambda_2|``, lambda_2 the eigenvalue of second largest modulus of what a turn of the schedule does.

    One turn is the product of the matrices of a period, A_(T-1) ... A_1 A_0; for a random schedule it is the expected
    matrix E[A] of one exchange. The distance from consensus shrinks by ``|lambda_2|`` a turn in the long run (for a
    fixed symmetric matrix from the first turn on); 1 means the exact mean after one turn, 0 that parts never mix.

    Raises:
        ScheduleError: the schedule never repeats and does not state its expected matrix.

    Source:
        Lian et al., arXiv 1705.09056, assumption 1.3; Boyd et al., "Randomized gossip algorithms", IEEE Trans. Inf.
        Theory 52 (2006), theorem 3, for random pairs.
    """
    if topology.period:
        turn = product(topology, 0, topology.period)
    elif isinstance(topology, RandomTopology):
        turn = topology.expected_matrix()
    else:
        raise ScheduleError(
            f"topology '{topology.name}': wanted a period or an expected matrix; found neither; "
            "derive it from RandomTopology and state expected_matrix"
        )
    moduli = np.sort(np.abs(np.linalg.eigvals(turn)))
    return float(1 - moduli[-2]) if len(moduli) > 1 else 1.0
