"""Exactly-once bookkeeping: what was promised and is not yet absorbed, and what was sent and is not yet promised.

Law: shares are delivered at least once (sent again until a receipt comes) and absorbed exactly once (a second copy is
told by its exchange and sender). A share is in the sender's ``outstanding``, in the receiver's ``inbox``, in both, or
absorbed; never nowhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from gossamer.gossip.algorithm import Share
from gossamer.gossip.topology import SiteId
from gossamer.node.snapshot import Outgoing

MOST_DOUBLINGS = 6
"""A share is sent again after 1, 2, 4, ... 64 times the agreed wait, then always after 64 times."""


class Ledger:
    """One site's books. Empty at first, or as a snapshot has them."""

    def __init__(
        self,
        inbox: Mapping[int, Mapping[SiteId, Share]] | None = None,
        outstanding: Iterable[Outgoing] = (),
        absorbed: Mapping[SiteId, int] | None = None,
    ) -> None:
        self._absorbed = dict(absorbed or {})
        self._inbox = {exchange: dict(shares) for exchange, shares in (inbox or {}).items()}
        self._outstanding = {(each.exchange, each.receiver): each for each in outstanding}

    @property
    def inbox(self) -> dict[int, Mapping[SiteId, Share]]:
        """A copy, by exchange and sender."""
        return {exchange: dict(shares) for exchange, shares in self._inbox.items()}

    @property
    def outstanding(self) -> tuple[Outgoing, ...]:
        """Shares without a receipt."""
        return tuple(self._outstanding.values())

    @property
    def absorbed(self) -> dict[SiteId, int]:
        """A copy: how many shares of each sender were taken out, to be absorbed."""
        return dict(self._absorbed)

    @property
    def next_due_s(self) -> float | None:
        """When the next share is to be sent again, if any."""
        return min((each.due_s for each in self._outstanding.values()), default=None)

    def keep(self, exchange: int, sender: SiteId, share: Share) -> bool:
        """Take a share in; False if this sender's share of this exchange is in already."""
        shares = self._inbox.setdefault(exchange, {})
        if sender in shares:
            return False
        shares[sender] = share
        return True

    def missing(self, exchange: int, senders: Iterable[SiteId]) -> tuple[SiteId, ...]:
        """Those whose share of an exchange is not in yet."""
        shares = self._inbox.get(exchange, {})
        return tuple(sender for sender in senders if sender not in shares)

    def take_out(self, exchange: int) -> Mapping[SiteId, Share]:
        """The shares of an exchange, to be absorbed now."""
        shares = self._inbox.pop(exchange, {})
        for sender in shares:
            self.count_absorbed(sender)
        return shares

    def count_absorbed(self, sender: SiteId) -> None:
        """One more share of a sender is absorbed."""
        self._absorbed[sender] = self._absorbed.get(sender, 0) + 1

    def hand_over(self, exchange: int, shares: Mapping[SiteId, Share], due_s: float) -> list[Outgoing]:
        """Note shares as sent; without a receipt they are due again at ``due_s``."""
        fresh = [Outgoing(exchange, receiver, share, 0, due_s) for receiver, share in sorted(shares.items())]
        for each in fresh:
            self.note(each)
        return fresh

    def note(self, outgoing: Outgoing) -> None:
        """Note a share as sent."""
        self._outstanding[outgoing.exchange, outgoing.receiver] = outgoing

    def outstanding_to(self, receiver: SiteId) -> tuple[Outgoing, ...]:
        """Shares without a receipt, of one receiver."""
        return tuple(each for each in self._outstanding.values() if each.receiver == receiver)

    def strike_out(self, exchange: int, receiver: SiteId) -> None:
        """The receiver keeps the share now; a second receipt changes nothing."""
        self._outstanding.pop((exchange, receiver), None)

    def send_again(self, now: float, wait_s: float) -> list[Outgoing]:
        """The shares that are due at ``now``, each noted as sent once more."""
        again = [
            replace(each, attempt=each.attempt + 1, due_s=now + wait_s * 2 ** min(each.attempt + 1, MOST_DOUBLINGS))
            for each in self._outstanding.values()
            if each.due_s <= now
        ]
        self._outstanding |= {(each.exchange, each.receiver): each for each in again}
        return again

    def make_due(self, now: float, receiver: SiteId | None = None) -> None:
        """After a stop, of this site or of one receiver: what has no receipt is due, as if for the first time."""
        self._outstanding = {
            key: replace(each, attempt=0, due_s=now) if receiver in (None, each.receiver) else each
            for key, each in self._outstanding.items()
        }
