"""Robust mixing: what of the shares of an exchange a site lets into its mean, so that one bad site cannot spoil it.

Self-centred clipping (He, Karimireddy & Jaggi, "Byzantine-robust decentralized learning via ClippedGossip", arXiv
2202.01545): x_j becomes ``x_i + min(1, tau / |x_j - x_i|) (x_j - x_i)``. What comes back is an inbox that any algorithm
may absorb.

Law
    1. A share that is not clipped is handed on as it is: where nobody is clipped, the bits are those without a guard.
    2. Masses stay as they are whatever is done to parameters, so none is lost. A refused share says what this site and
       those it heard say on average, as if it had not come. Only a mass that cannot be is not believed; what this site
       handed to the liar takes its place, or what it kept where it hands the liar nothing, lest it run dry.
    3. Where a part f of the mean is a bad site's, each group of parameters moves by at most f tau because of it.
    4. No tau rests on one peer's word. State is a value; the bits do not depend on order or number of threads.

Where this departs from the paper
    Groups: the norm of a whole network hides what matters in it. Swapped rows of the output layer, or a normalisation
    layer with its signs turned, are small beside the usual differences of millions of weights. So each tensor has a tau
    of its own, and each structure's row of the output layer; tensors of a few numbers share one.

    tau: the paper's needs the spread of the honest sites. Here it is ``factor`` times what is usual by the word of
    witnesses (their lower median): how far this site's last local phase went, which no peer can forge and which counts
    twice; and what each peer's own differences suggest, a mean that forgets, per local phase since it was last heard.
    So this site's steps decide where there are one or two peers, and half of the others must lie together where there
    are more. Per entry, nothing usual is less than the network's root mean square: small norms are often chance.

    Reach: tau is divided by the part of the mean that came from others in the round before. If a local phase could take
    a site further than all it hears can draw it back, honest sites would drift apart for good once a liar is muted.

    Strikes: whoever is refused, or of whose difference less than half comes through, gets one, and loses one when it
    is not. From the third on it is not listened to for 2, 4, 8, ... of its shares. A site that hardly moves any more
    must not silence all others: here its own steps count once, and one peer alone gets no strike for its difference.
    Nor must a site be silenced for being slow: a strike allows for the local phases since a peer was last heard.

Notation: i this site, j a sender.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite, nan, sqrt
from typing import Literal

import torch
from torch import Tensor

from gossamer.gossip.algorithm import GossipState, Mass, Params, Share
from gossamer.gossip.finite import is_finite
from gossamer.gossip.group_norms import Norms, group_of, group_sizes, length, norms_between
from gossamer.gossip.mass_bounds import believed, can_be
from gossamer.gossip.merge import merge, scaled_step
from gossamer.gossip.topology import SiteId

FACTOR = 1.5
"""Two sites that go equally far in unrelated directions differ by 1.41 of that; hardly more is let through."""

PAIR_FACTOR = 4 / 3
"""Of two sites that do not wait for each other, tau is twice what is usual: less keeps honest ones apart, more lets a
liar drive them off (docs/concepts/robust-mixing.md)."""

MEMORY = 0.25
"""How much the newest difference counts in a peer's mean: some four exchanges are remembered."""

MOST_PHASES = 4
"""So many local phases' worth of difference are allowed at most, however long a peer was not heard."""

LEAST_REACH = 0.25
"""Where hardly anybody is heard, tau grows four times at most."""

HARD = 0.5
"""Of whose difference less comes through, with the factor three times what is usual, gets a strike."""

STRIKES = 3
MOST_DOUBLINGS = 6
"""A muted peer is looked at again after 64 of its shares at the latest."""

NOT_FINITE = "its parameters are no finite numbers, or far too large"

LAST_FACTOR = 3.0
"""Last words: between two and four sites that agree, some are twice as far from the median as others by chance."""

LEAST_WORDS = 3
"""Of two estimates nobody can say which is off."""

LEAST_TO_TRIM = 4
"""Estimates: of three, taking one off each end leaves no mean."""


@dataclass(frozen=True)
class PeerRecord:
    """What a site remembers of a peer.

    Attributes:
        differences: what its differences from this site suggest that a site moves in a local phase: a mean, by group.
        heard: how many local phases this site had made when the peer's last share came.
        strikes: how often it was hard to believe, of late.
        muted: of how many further shares nothing is let in.
    """

    differences: Norms = field(default_factory=dict)
    heard: int = 0
    strikes: int = 0
    muted: int = 0


@dataclass(frozen=True)
class GuardState:
    """What a guard carries from one exchange to the next.

    Attributes:
        moved: how far the last local phase went, by group; empty before the first.
        phases: how many there were.
        reach: which part of the mean came from others in the exchanges before it, summed up.
        reached: since then.
        peers: by sender.
    """

    moved: Norms = field(default_factory=dict)
    phases: int = 0
    reach: float = 1.0
    reached: float = 0.0
    peers: Mapping[SiteId, PeerRecord] = field(default_factory=dict)


GUARD_KINDS: tuple[type, ...] = (GuardState, PeerRecord)
"""The classes in a guard's state, for ``wire.values.pack`` and ``unpack``."""


@dataclass(frozen=True)
class Report:
    """What was done with one sender's share.

    Attributes:
        sender: whose it is.
        difference: ``|x_j - x_i|`` over all parameters; nan where it was not looked at or is no number.
        factor: how much of that comes through: 1 all, 0 nothing.
        where: the group that was clipped most; empty where none was.
        refused: why nothing comes through; empty otherwise.
    """

    sender: SiteId
    difference: float
    factor: float
    where: str = ""
    refused: str = ""


@dataclass(frozen=True, eq=False)
class Screened:
    """What a guard makes of an exchange.

    Attributes:
        state: for the next one.
        inbox: what may be absorbed.
        reports: one for each sender, sorted.
    """

    state: GuardState
    inbox: Mapping[SiteId, Share]
    reports: tuple[Report, ...]


class MixingGuard(ABC):
    """Stands before ``absorb``. Holds settings only; all state is passed in and returned."""

    @abstractmethod
    def screen(
        self,
        state: GuardState,
        mine: GossipState,
        inbox: Mapping[SiteId, Share],
        *,
        most: Mapping[SiteId, Mass],
        handed: Mapping[SiteId, Mass],
        in_pairs: bool = False,
    ) -> Screened:
        """Judge the shares of one exchange.

        Args:
            state: the guard's.
            mine: the algorithm's, as ``compose`` left it.
            inbox: what came, by sender; names, shapes and dtypes are those of ``mine``.
            most: the largest mass that each sender's share can have (``most_by_total``, ``most_by_schedule``).
            handed: what this site handed to others in the same exchange (``handed_over``).
            in_pairs: whether sites swap halves with one another by turns, without a common clock. Half of what a site
                takes in is one peer's then, so tau depends neither on reach nor on when the peer was last heard. A
                strike depends on the latter.
        """


class ClippingGuard(MixingGuard):
    """Self-centred clipping, for any number of shares."""

    def __init__(self, factor: float = FACTOR) -> None:
        """Clip what differs more than ``factor`` times as much as is usual."""
        self.factor = factor

    def screen(
        self,
        state: GuardState,
        mine: GossipState,
        inbox: Mapping[SiteId, Share],
        *,
        most: Mapping[SiteId, Mass],
        handed: Mapping[SiteId, Mass],
        in_pairs: bool = False,
    ) -> Screened:
        """See ``MixingGuard``."""
        norms, refused = _look(state, mine, inbox, most)
        phases = {sender: 1 if in_pairs else _phases_since(state, sender) for sender in norms}
        peers = {**state.peers, **{sender: _heard(state, sender, norms.get(sender)) for sender in refused}}
        said = [record.differences for record in peers.values() if record.differences and not record.muted]
        all_alike = _usual([state.moved, *said], group_sizes(mine))
        usual = _usual([state.moved, state.moved, *said], group_sizes(mine))
        times = PAIR_FACTOR * self.factor if in_pairs else self.factor / min(max(state.reach, LEAST_REACH), 1.0)
        heard, reports = {}, {}
        for sender, reason in sorted(refused.items()):
            if reason:
                reports[sender] = Report(sender, nan, 0.0, refused=reason)
            else:
                reports[sender] = _report(sender, norms[sender], usual, times * phases[sender])
                factors = _factors(norms[sender], usual, times * phases[sender])
                heard[sender] = _clipped(mine, inbox[sender], factors) if reports[sender].where else inbox[sender]
            if not _record(state, sender).muted:
                hard = reports[sender].factor < HARD
                if not reason:  # of two alone nobody can say which of them is off
                    since = _phases_since(state, sender)
                    hard &= len(said) > 1 and _through(norms[sender], all_alike, times * since) < HARD
                peers[sender] = _struck(peers[sender], hard=hard)
        reached = state.reached + _part(mine, heard)
        kept = heard if len(heard) == len(inbox) else {**_in_place(mine, inbox, heard, most, handed), **heard}
        return Screened(replace(state, reached=reached, peers=peers), kept, tuple(reports.values()))


class TrimmingGuard(MixingGuard):
    """Coordinate-wise trimmed mean (Yin et al., ICML 2018, definition 2), where four estimates or more meet.

    Of the k estimates of an exchange, this site's among them, each coordinate loses its f smallest and f largest
    values, f = floor((k - 1) / 3); all shares then say the mean of the rest, weighted by mass. So what they say lies,
    in every coordinate, between honest values as long as at most f senders lie, and no mass changes that. The price: it
    is not the mean of honest sites either, even where nobody lies. With fewer estimates it clips; strikes are by
    clipping too.
    """

    def __init__(self, factor: float = FACTOR) -> None:
        """Trim; ``factor`` is that of clipping."""
        self._clipping = ClippingGuard(factor)

    def screen(
        self,
        state: GuardState,
        mine: GossipState,
        inbox: Mapping[SiteId, Share],
        *,
        most: Mapping[SiteId, Mass],
        handed: Mapping[SiteId, Mass],
        in_pairs: bool = False,
    ) -> Screened:
        """See ``MixingGuard``."""
        clipped = self._clipping.screen(state, mine, inbox, most=most, handed=handed, in_pairs=in_pairs)
        heard = [report.sender for report in clipped.reports if not report.refused]
        if len(heard) < LEAST_TO_TRIM - 1:
            return clipped
        params = _trimmed([Share(mine.params, mine.mass), *(inbox[sender] for sender in heard)])
        return replace(clipped, inbox={sender: Share(params, share.mass) for sender, share in clipped.inbox.items()})


GuardName = Literal["clipping", "trimming"]

GUARDS: dict[GuardName, type[MixingGuard]] = {"clipping": ClippingGuard, "trimming": TrimmingGuard}
"""By the name that files call them."""


def around_median(
    shares: Mapping[SiteId, Share], most: Mapping[SiteId, Mass], own: Mass, factor: float
) -> tuple[dict[SiteId, Share], tuple[Report, ...]]:
    """Clip estimates around the median of all, so that whoever has the same ones gets the same: for the end of a run.

    The median is by coordinate, the lower one; tau is ``factor`` times the lower median of how far the estimates are
    from it. A mass is cut to what it can be; what is not finite is left out, unless nothing is.

    Args:
        shares: three or more, by sender.
        most: the largest mass that each can have.
        own: names the tensors with a row for each structure.
        factor: how much further than usual comes through.
    """
    reports = {}
    finite: dict[SiteId, Share] = {}
    for sender, share in sorted(shares.items()):
        if all(map(is_finite, share.params.values())):
            finite[sender] = replace(share, mass=believed(share.mass, most[sender], most[sender]))
        else:
            reports[sender] = Report(sender, nan, 0.0, refused=NOT_FINITE)
    if len(finite) < LEAST_WORDS:
        return finite or dict(shares), tuple(reports.values())
    middle = GossipState(_lower_median_of([share.params for share in finite.values()]), own, own)
    norms = {sender: norms_between(middle.params, share.params, own) for sender, share in finite.items()}
    usual = _usual(list(norms.values()), group_sizes(middle))
    for sender, share in finite.items():
        reports[sender] = _report(sender, norms[sender], usual, factor)
        if reports[sender].where:
            finite[sender] = _clipped(middle, share, _factors(norms[sender], usual, factor))
    return finite, tuple(report for _, report in sorted(reports.items()))


def after_training(state: GuardState, before: Params, after: Params, own: Mass) -> GuardState:
    """Note how far a local phase went: the witness that no peer can forge.

    Args:
        state: the guard's.
        before: the estimate that was trained.
        after: the one that came of it (of ``GossipAlgorithm.replace``).
        own: the site's own mass; it names the tensors with a row for each structure.
    """
    reach = state.reached or state.reach  # nothing heard at all is no measure
    return replace(state, moved=norms_between(before, after, own), phases=state.phases + 1, reach=reach, reached=0.0)


def _record(state: GuardState, sender: SiteId) -> PeerRecord:
    return state.peers.get(sender, PeerRecord())


def _look(
    state: GuardState, mine: GossipState, inbox: Mapping[SiteId, Share], most: Mapping[SiteId, Mass]
) -> tuple[dict[SiteId, Norms], dict[SiteId, str]]:
    """How far each sender is away, and why those without a number are refused."""
    norms, refused = {}, {}
    for sender, share in inbox.items():
        refused[sender] = _why_refused(state, sender, share.mass, most[sender])
        if not refused[sender]:
            found = norms_between(mine.params, share.params, mine.own)
            if isfinite(length(found)):
                norms[sender] = found
            else:
                refused[sender] = NOT_FINITE
    return norms, refused


def _part(mine: GossipState, heard: Mapping[SiteId, Share]) -> float:
    """Of the mean, what comes from others."""
    others = sum(share.mass.body for share in heard.values())
    return others / (others + mine.mass.body) if others > 0 else 0.0


def _in_place(
    mine: GossipState,
    inbox: Mapping[SiteId, Share],
    heard: Mapping[SiteId, Share],
    most: Mapping[SiteId, Mass],
    handed: Mapping[SiteId, Mass],
) -> dict[SiteId, Share]:
    """What takes the place of each refused share; see law 2."""
    shares = [Share(mine.params, mine.mass), *(share for _, share in sorted(heard.items()))]
    mean = merge([share.params for share in shares], [share.mass for share in shares], 0)
    return {
        sender: Share(mean, believed(share.mass, most[sender], handed.get(sender, mine.mass)))
        for sender, share in inbox.items()
        if sender not in heard
    }


def _why_refused(state: GuardState, sender: SiteId, mass: Mass, most: Mass) -> str:
    """What can be said before the parameters are looked at."""
    record = _record(state, sender)
    if not can_be(mass, most):
        return "it claims more mass than it can have"
    if record.muted:
        return f"muted after {record.strikes} strikes, for {record.muted - 1} more of its shares"
    return ""


def _phases_since(state: GuardState, sender: SiteId) -> int:
    """Local phases since the sender was heard: so many differences have added up."""
    return min(max(1, state.phases - _record(state, sender).heard), MOST_PHASES)


def _heard(state: GuardState, sender: SiteId, norms: Norms | None) -> PeerRecord:
    """The record of a sender after its share came; ``norms`` is None where that was refused."""
    record = _record(state, sender)
    if norms is None:
        return replace(record, heard=state.phases, muted=max(0, record.muted - 1))
    a_site = 1 / (sqrt(2) * _phases_since(state, sender))  # two sites that each moved by 1 are sqrt(2) apart
    differences = {}
    for group, row in norms.items():
        before = record.differences.get(group, [norm * a_site for norm in row])
        differences[group] = tuple(old + MEMORY * (norm * a_site - old) for old, norm in zip(before, row, strict=True))
    return replace(record, heard=state.phases, differences=differences)


def _struck(record: PeerRecord, *, hard: bool) -> PeerRecord:
    if not hard:
        return replace(record, strikes=max(0, record.strikes - 1))
    strikes = record.strikes + 1
    muted = 2 ** min(1 + strikes - STRIKES, MOST_DOUBLINGS) if strikes >= STRIKES else 0
    return replace(record, strikes=strikes, muted=muted)


def _usual(said: Sequence[Norms], sizes: Mapping[str, int]) -> Norms:
    """What is usual by the word of these witnesses: see the head of the file. Who says 0 says nothing."""
    said = [norms for norms in said if norms]
    median = {
        group: tuple(
            _lower_median([norm for norm in row if norm > 0])
            for row in zip(*(norms[group] for norms in said), strict=True)
        )
        for group in (said[0] if said else ())
    }
    entries = sum(sizes[group] * len(row) for group, row in median.items())
    an_entry = length(median) / sqrt(entries) if entries else 0.0
    return {group: tuple(max(norm, an_entry * sqrt(sizes[group])) for norm in row) for group, row in median.items()}


def _lower_median(numbers: Sequence[float]) -> float:
    return sorted(numbers)[(len(numbers) - 1) // 2] if numbers else 0.0


def _factors(norms: Norms, usual: Norms, times: float) -> Norms:
    """min(1, tau / norm), with tau = times * usual."""
    return {
        group: tuple(
            min(1.0, times * allowed / norm) if norm > 0 else 1.0
            for norm, allowed in zip(row, usual[group], strict=True)
        )
        for group, row in norms.items()
    }


def _through(norms: Norms, usual: Norms, times: float) -> float:
    """The part of a difference that would come through."""
    factors, whole = _factors(norms, usual, times), length(norms)
    let_in = {group: tuple(n * f for n, f in zip(row, factors[group], strict=True)) for group, row in norms.items()}
    return length(let_in) / whole if whole > 0 else 1.0


def _report(sender: SiteId, norms: Norms, usual: Norms, times: float) -> Report:
    least, where = min((min(row), group) for group, row in _factors(norms, usual, times).items())
    if least == 1:
        return Report(sender, length(norms), 1.0)
    return Report(sender, length(norms), _through(norms, usual, times), where)


def _clipped(mine: GossipState, share: Share, factors: Norms) -> Share:
    clipped: dict[str, Tensor] = {}
    for name, tensor in mine.params.items():
        row, theirs = factors[group_of(name, tensor, mine.own)], {name: share.params[name]}
        rows = {name: row} if name in mine.own.rows else {}
        clipped |= scaled_step({name: tensor}, theirs, row[0], rows) if min(row) < 1 else theirs
    return Share(clipped, share.mass)


def _lower_median_of(params: Sequence[Params]) -> Params:
    with torch.no_grad():
        return {name: torch.stack([each[name] for each in params]).median(dim=0).values for name in params[0]}


def _trimmed(shares: Sequence[Share]) -> Params:
    """By coordinate the mean by mass of the values in the middle; where these have no mass, the first share's value."""
    cut = (len(shares) - 1) // 3
    trimmed = {}
    with torch.no_grad():
        for name, tensor in shares[0].params.items():
            masses = [share.mass.rows.get(name, (share.mass.body,)) for share in shares]
            values_KRE = torch.stack([share.params[name].reshape(len(masses[0]), -1) for share in shares])
            masses_KRE = torch.tensor(masses, dtype=tensor.dtype).unsqueeze(-1).expand_as(values_KRE)
            middle_KRE = values_KRE.argsort(dim=0)[cut : len(shares) - cut]
            part_KRE = masses_KRE.gather(0, middle_KRE)
            total_RE = part_KRE.sum(0)
            mean_RE = (values_KRE.gather(0, middle_KRE) * part_KRE).sum(0) / total_RE
            trimmed[name] = torch.where(total_RE > 0, mean_RE, values_KRE[0]).reshape(tensor.shape)
    return trimmed
