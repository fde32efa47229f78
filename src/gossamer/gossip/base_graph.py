"""Base-(k+1) graph: Takezawa et al., "Beyond Exponential Graph", NeurIPS 2023, arXiv 2305.11420.

The exact mean for any number of sites n, where a site talks to at most k others in one exchange. Every matrix is
symmetric and doubly stochastic. With k = 1 (pairs), three sites need 3 exchanges and 6 transfers, five 5 and 20,
six 4 and 18, seven 5 and 30, nine 7 and 56, ten 6 and 50; powers of two need what the hypercube needs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain
from math import gcd, prod

from gossamer.errors import ScheduleError
from gossamer.gossip.topology import SiteId, Topology

Link = tuple[int, int, float]
"""Two sites that exchange, and the fraction each hands to the other."""

Links = list[Link]
"""All links of one exchange."""


class BaseGraph(Topology):
    """The shortest of the paper's constructions for this number of sites."""

    name = "base"

    def __init__(
        self,
        sites: Collection[SiteId],
        *,
        peers: int = 1,
        exchanges_per_round: int | None = None,
        final_exchanges: int | None = None,
    ) -> None:
        """Lay the schedule out.

        Args:
            sites: all sites.
            peers: k, with how many others a site may exchange at once.
            exchanges_per_round: exchanges between two local phases; by default all that the exact mean needs.
            final_exchanges: exchanges after the last local phase. By default enough for the exact mean: since the
                matrices do not commute, a row of exchanges is exact when it holds a period from its first exchange
                to its last, and 2 period - 1 hold one wherever they begin.

        Raises:
            ScheduleError: ``peers`` is below 1.
        """
        if peers < 1:
            raise ScheduleError(f"topology 'base': wanted peers >= 1; found {peers}; 1 means exchanges in pairs")
        rounds = base_graph(range(len(sites)), peers) or [[]]
        each_round = exchanges_per_round or len(rounds)
        aligned = each_round % len(rounds) == 0
        super().__init__(
            sites,
            period=len(rounds),
            exchanges_per_round=each_round,
            final_exchanges=final_exchanges or (each_round if aligned else max(each_round, 2 * len(rounds) - 1)),
        )
        self._fractions = [_fractions(links, len(sites)) for links in rounds]

    def mixing(self, site: SiteId, exchange: int) -> Mapping[SiteId, float]:
        """The links of exchange t mod period."""
        return self.by_name(self._fractions[exchange % self.period][self.position(site)])


def base_graph(nodes: Sequence[int], peers: int) -> list[Links]:
    """The paper's algorithm 3: n = p q, p the part with small factors; q's graph p times, then hypercubes across.

    Returns:
        The links of each exchange; none for a single node.
    """
    count = len(nodes)
    plain = simple_base_graph(nodes, peers)
    p = prod(gcd(count, factor ** count.bit_length()) for factor in _primes(peers + 1))
    q = count // p
    if p == 1 or q == 1:
        return plain
    parts = [simple_base_graph(nodes[start : start + q], peers) for start in range(0, count, q)]
    across = [hyper_hypercube(nodes[start::q], peers) for start in range(q)]
    composed = [*_side_by_side(parts), *_side_by_side(across)]
    return composed if len(composed) <= len(plain) else plain


def simple_base_graph(nodes: Sequence[int], peers: int) -> list[Links]:
    """The paper's algorithm 2.

    Write n in base k + 1 and split the nodes into one block for each digit that is not 0, the largest first: a block
    of a (k + 1)^p nodes falls into a parts. First every block averages itself. Then, block after block, all later
    blocks draw on it, so that they hold the mean of all nodes; meanwhile the earlier blocks, whose parts now have
    that mean too, spread it within each part.
    """
    count = len(nodes)
    if _factors(count, peers + 1) is not None:
        return hyper_hypercube(nodes, peers)
    blocks = list(_blocks(nodes, peers + 1))
    within_block = [hyper_hypercube([*chain(*parts)], peers) for parts in blocks]
    within_parts = [_side_by_side([hyper_hypercube(part, peers) for part in parts]) for parts in blocks]
    first = len(within_block[0])
    rounds: list[Links] = [[link for cube in within_block for link in _cycle(cube, t)] for t in range(first)]
    for step in range(1 + len(within_parts[0])):
        links: Links = []
        for place in range(min(step, len(blocks))):
            links += _cycle(within_parts[place], step - place - 1)
        if step < len(blocks) - 1:
            later = [*chain(*chain(*blocks[step + 1 :]))]
            links += _draw(blocks[step], later, peers)
        elif step == len(blocks) - 1:
            links += _cycle(within_parts[step], 0)
        rounds.append(links)
    return rounds


def hyper_hypercube(nodes: Sequence[int], peers: int) -> list[Links]:
    """The paper's algorithm 1: a digit of the node's number an exchange; n must have no prime factor above k + 1."""
    rounds: list[Links] = []
    stride = 1
    for factor in _factors(len(nodes), peers + 1) or ():
        groups = [
            [nodes[start + digit * stride] for digit in range(factor)]
            for start in range(len(nodes))
            if start // stride % factor == 0
        ]
        rounds.append([link for group in groups for link in _average(group)])
        stride *= factor
    return rounds


def _draw(parts: Sequence[Sequence[int]], later: Sequence[int], peers: int) -> Links:
    """Each later node draws on one node of every part; the part nodes left over average among themselves.

    The leftovers hold the same value already, so that averaging them changes nothing in a sweep; where local phases
    lie between the exchanges it mixes them further.
    """
    block = sum(len(part) for part in parts)
    fraction = block / (block + len(later)) / len(parts)
    links = [(part[-1 - place], node, fraction) for part in parts for place, node in enumerate(later)]
    left_over = [node for part in parts for node in part[: len(part) - len(later)]]
    for start in range(0, len(left_over), peers + 1):
        links += _average(left_over[start : start + peers + 1])
    return links


def _average(group: Sequence[int]) -> Links:
    """All of a group with all others, to the group's mean."""
    return [(i, j, 1 / len(group)) for place, i in enumerate(group) for j in group[place + 1 :]]


def _blocks(nodes: Sequence[int], base: int) -> Iterator[list[Sequence[int]]]:
    """The nodes by the digits of their number in ``base``: a digit a at power p gives a parts of base^p nodes."""
    size = 1
    while size * base <= len(nodes):
        size *= base
    start = 0
    while start < len(nodes):
        digit = (len(nodes) - start) // size
        if digit:
            yield [nodes[start + part * size : start + (part + 1) * size] for part in range(digit)]
        start += digit * size
        size //= base


def _side_by_side(graphs: Sequence[list[Links]]) -> list[Links]:
    """Graphs of equal length over different nodes, run at the same time."""
    return [[*chain(*exchange)] for exchange in zip(*graphs, strict=True)]


def _cycle(rounds: list[Links], t: int) -> Links:
    """The links at time t of a graph that is run again and again."""
    return rounds[t % len(rounds)] if rounds else []


def _factors(number: int, largest: int) -> tuple[int, ...] | None:
    """The fewest factors, none above ``largest``, whose product is ``number``; None if it has none."""
    if number <= 1:
        return ()
    found = [
        (factor, *rest)
        for factor in range(2, min(largest, number) + 1)
        if number % factor == 0 and (rest := _factors(number // factor, largest)) is not None
    ]
    return min(found, key=len, default=None)


def _primes(largest: int) -> list[int]:
    return [number for number in range(2, largest + 1) if all(number % divisor for divisor in range(2, number))]


def _fractions(links: Links, count: int) -> list[dict[int, float]]:
    """By sender the fraction that goes to each receiver, what stays included."""
    fractions: list[dict[int, float]] = [{} for _ in range(count)]
    for i, j, fraction in links:
        fractions[i][j] = fractions[j][i] = fraction
    for index, others in enumerate(fractions):
        others[index] = 1 - sum(others.values())
    return fractions
