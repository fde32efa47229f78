"""How a site gets on: for its own people, on its own machine. Numbers and names of sites, nothing of patients.

Reachable, agreed, training and heard from are different things; each stands by itself, with the time since when. So
a site whose line is up but whose peer has trained nothing for a week is not called healthy.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Literal

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from pydantic import BaseModel, ConfigDict

Stage = Literal[
    "joining", "preparing", "training", "exchanging", "lingering", "finished", "scoring", "waiting for results", "done"
]
"""What the service does before and after the node works, and in between the node's own phases."""


class PeerStatus(BaseModel):
    """What this site knows of a peer.

    Attributes:
        site: its name.
        reachable: whether there is a line to it now.
        since: when that last changed.
        refusal: why the two do not speak, if one of them refuses or a reason was found.
        refusal_code: of the error that this is; it has a page in the documentation.
        joined: whether it has told of its data.
        agreed: whether it found the same plan.
        heard: when its last share or receipt came.
        round_index: the round that belonged to, from 0.
        behind: rounds that it is behind this site; negative where it is ahead.
        shares: of its shares, how many were taken in.
        finished: whether it has told its results.
        bytes_sent: to it, since this process began.
        bytes_received: from it, likewise.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    site: str
    reachable: bool
    since: datetime
    refusal: str | None
    refusal_code: str | None = None
    joined: bool
    agreed: bool
    heard: datetime | None
    round_index: int | None
    behind: int | None
    shares: int
    finished: bool
    bytes_sent: int
    bytes_received: int


class SiteStatus(BaseModel):
    """How a site gets on.

    Attributes:
        site: its name.
        site_id: of its key; tells it from another site on the same port.
        federation: SHA-256 of the federation file.
        title: of the federation.
        release: of Gossamer.
        at: when this was said.
        stage: what it does.
        round_index: the local phase that goes on or comes next, from 0.
        rounds: of the whole run.
        phase_s: how long the last local phase took.
        loss: of it.
        waits_for: sites without which it cannot go on.
        refusals: messages that were refused, by error code.
        certificate_ends: of the certificate for connections.
        peers: all of them.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    site: str
    site_id: str
    federation: str
    title: str
    release: str
    at: datetime
    stage: Stage
    round_index: int
    rounds: int
    phase_s: float
    loss: float
    waits_for: tuple[str, ...]
    refusals: dict[str, int]
    certificate_ends: datetime
    peers: tuple[PeerStatus, ...]


def at_time(unix_s: float) -> datetime:
    """A point in time as people read it."""
    return datetime.fromtimestamp(unix_s, UTC).replace(microsecond=0)


def prometheus_text(status: SiteStatus) -> bytes:
    """The same for Prometheus, in its text format."""
    registry = CollectorRegistry()

    def gauge(name: str, meaning: str, labels: tuple[str, ...] = ()) -> Gauge:
        return Gauge(f"gossamer_{name}", meaning, labels, registry=registry)

    gauge("stage", "1 for what the site does now.", ("stage",)).labels(status.stage).set(1)
    gauge("round", "Local phase that goes on or comes next, from 0.").set(status.round_index)
    gauge("rounds", "Local phases of the whole run.").set(status.rounds)
    gauge("local_phase_seconds", "How long the last local phase took.").set(status.phase_s)
    gauge("loss", "Of the last local phase.").set(status.loss)
    gauge("certificate_ends_seconds", "When the certificate expires (Unix time).").set(
        status.certificate_ends.timestamp()
    )
    refusals = gauge("refusals", "Messages that were refused since the process began.", ("code",))
    for code, count in status.refusals.items():
        refusals.labels(code).set(count)
    by_peer = {
        name: gauge(f"peer_{name}", meaning, ("peer",))
        for name, meaning in {
            "reachable": "1 if there is a line now.",
            "since_seconds": "When that last changed (Unix time).",
            "joined": "1 if it has told of its data.",
            "agreed": "1 if it found the same plan.",
            "finished": "1 if it has told its results.",
            "waited_for": "1 if this site cannot go on without it.",
            "heard_seconds": "When its last share or receipt came (Unix time); 0 if never.",
            "behind_rounds": "Rounds it is behind this site.",
            "shares": "Of its shares, how many were taken in.",
            "bytes_sent": "To it, since the process began.",
            "bytes_received": "From it, since the process began.",
        }.items()
    }
    for peer in status.peers:
        values = {
            "reachable": peer.reachable,
            "since_seconds": peer.since.timestamp(),
            "joined": peer.joined,
            "agreed": peer.agreed,
            "finished": peer.finished,
            "waited_for": peer.site in status.waits_for,
            "heard_seconds": peer.heard.timestamp() if peer.heard else 0,
            "behind_rounds": peer.behind or 0,
            "shares": peer.shares,
            "bytes_sent": peer.bytes_sent,
            "bytes_received": peer.bytes_received,
        }
        for name, value in values.items():
            by_peer[name].labels(peer.site).set(value)
    return generate_latest(registry)


def ago(moment: datetime | None, now: float | None = None) -> str:
    """How long ago, in the largest unit that fits: ``3 min``."""
    if moment is None:
        return "never"
    seconds = max(0.0, (time.time() if now is None else now) - moment.timestamp())
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds // unit:.0f} {name}"
    return f"{seconds:.0f} s"
