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

from collections.abc import Mapping
from dataclasses import replace
from math import isfinite, nan, sqrt

from gossamer.gossip.algorithm import GossipState, Mass, Params, Share
from gossamer.gossip.group_norms import Norms, group_sizes, length, norms_between
from gossamer.gossip.guard import NOT_FINITE, GuardState, MixingGuard, PeerRecord, Report, Screened
from gossamer.gossip.mass_bounds import believed, can_be
from gossamer.gossip.merge import merge
from gossamer.gossip.tau import clip, factors_of, part_through, report_of, usual_of
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
        all_alike = usual_of([state.moved, *said], group_sizes(mine))
        usual = usual_of([state.moved, state.moved, *said], group_sizes(mine))
        times = PAIR_FACTOR * self.factor if in_pairs else self.factor / min(max(state.reach, LEAST_REACH), 1.0)
        heard, reports = {}, {}
        for sender, reason in sorted(refused.items()):
            if reason:
                reports[sender] = Report(sender, nan, 0.0, refused=reason)
            else:
                reports[sender] = report_of(sender, norms[sender], usual, times * phases[sender])
                factors = factors_of(norms[sender], usual, times * phases[sender])
                heard[sender] = clip(mine, inbox[sender], factors) if reports[sender].where else inbox[sender]
            if not _record(state, sender).muted:
                hard = reports[sender].factor < HARD
                if not reason:  # of two alone nobody can say which of them is off
                    since = _phases_since(state, sender)
                    hard &= len(said) > 1 and part_through(norms[sender], all_alike, times * since) < HARD
                peers[sender] = _struck(peers[sender], hard=hard)
        reached = state.reached + _part(mine, heard)
        kept = heard if len(heard) == len(inbox) else {**_in_place(mine, inbox, heard, most, handed), **heard}
        return Screened(replace(state, reached=reached, peers=peers), kept, tuple(reports.values()))


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
