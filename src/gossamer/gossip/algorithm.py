"""What a gossip algorithm is: a value with explicit state, pure arithmetic on parameters.

Notation (all of ``gossip/``): sites i, j; parameters x_i; push-sum weight w_i; m_i the site's own mass
(its number of training cases); t the index of an exchange.

Mass
    A site's parameters count in proportion to its mass. Most tensors carry one mass, the *body's*. The rows
    of an output layer (one row per structure) carry one mass each, so that a site which never saw a
    structure does not dilute it: *label-aware merge*.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from gossamer.gossip.topology import SiteId, Topology

Params = Mapping[str, Tensor]
"""The network's tensors by name. Never changed in place: whoever computes makes new tensors."""


@dataclass(frozen=True)
class Mass:
    """How much parameters count in a weighted mean.

    Attributes:
        body: mass of every tensor that ``rows`` does not name; finite, >= 0.
        rows: by tensor name one mass for each entry of the tensor's first axis; finite, >= 0.
    """

    body: float
    rows: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def scaled(self, factor: float) -> Mass:
        """This mass times ``factor``."""
        return Mass(self.body * factor, {name: tuple(m * factor for m in row) for name, row in self.rows.items()})

    def plus(self, other: Mass) -> Mass:
        """The sum of two masses over the same rows.

        Raises:
            ValueError: the two do not name the same rows.
        """
        if self.rows.keys() != other.rows.keys():
            raise ValueError(f"masses name different rows: {sorted(self.rows)} and {sorted(other.rows)}")
        return Mass(
            self.body + other.body,
            {name: tuple(a + b for a, b in zip(row, other.rows[name], strict=True)) for name, row in self.rows.items()},
        )


@dataclass(frozen=True)
class Share:
    """What one site hands to another: parameters, and the mass that travels with them.

    Attributes:
        params: the sender's estimate (already divided by its weight: x, not w·x).
        mass: how much of the sender's push-sum weight goes along.
    """

    params: Params
    mass: Mass


@dataclass(frozen=True)
class GossipState:
    """What an algorithm carries from one exchange to the next.

    Attributes:
        params: this site's estimate x_i.
        mass: its push-sum weight w_i.
        own: m_i, what the site contributes by its training cases; constant over a run.
        extra: further tensors of an algorithm (momentum, error feedback), by name.
    """

    params: Params
    mass: Mass
    own: Mass
    extra: Mapping[str, Tensor] = field(default_factory=dict)


class GossipAlgorithm(ABC):
    """Arithmetic of one way to average. Holds settings only; all state is passed in and returned.

    Attributes:
        name: what files and arms call it.
        asynchronous: whether its laws hold where sites do not wait for each other.
        sets_masses_back: whether each round begins with the masses of the first.
    """

    name: str
    asynchronous: ClassVar[bool] = False
    sets_masses_back: ClassVar[bool] = False

    @abstractmethod
    def init(self, params: Params, own: Mass) -> GossipState:
        """The state before the first exchange."""

    @abstractmethod
    def compose(
        self, state: GossipState, mixing: Mapping[SiteId, float], me: SiteId
    ) -> tuple[GossipState, dict[SiteId, Share]]:
        """Make the shares of one exchange.

        Args:
            state: this site's state.
            mixing: the fraction that goes to each receiver, ``me`` included; sums to 1.
            me: this site.

        Returns:
            The state that stays behind, and a share for each receiver other than ``me``.
        """

    @abstractmethod
    def absorb(
        self, state: GossipState, inbox: Mapping[SiteId, Share], mixing: Mapping[SiteId, float], me: SiteId
    ) -> GossipState:
        """Take in the shares of one exchange, in sorted sender order, so that the bits do not depend on arrival.

        Args:
            state: this site's state, as ``compose`` left it.
            inbox: the shares that came, by sender; may be fewer than the schedule names.
            mixing: as in ``compose``.
            me: this site.
        """

    @abstractmethod
    def estimate(self, state: GossipState) -> Params:
        """The parameters to train on, validate and ship."""

    @abstractmethod
    def replace(self, state: GossipState, params: Params) -> GossipState:
        """Take over what local training made of ``estimate(state)``."""

    def end_round(self, state: GossipState) -> GossipState:
        """After the last exchange of a round, before the next local phase; the state unless overridden below."""
        return state

    def teachers(self, state: GossipState) -> Sequence[Params]:
        """Models to learn from in the next local phase (mutual learning); none by default."""
        return ()

    def check(self, topology: Topology) -> None:  # noqa: B027  # a hook: most algorithms need nothing
        """Refuse a topology on which the algorithm's laws do not hold; takes any unless overridden below.

        Raises:
            ScheduleError: the topology does not fit; the message names one that does.
        """
