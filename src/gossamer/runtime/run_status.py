"""How a site's run gets on, put together from its contact with the others and its service; for people."""

from __future__ import annotations

import time

from gossamer import __version__
from gossamer.gossip.topology import SiteId
from gossamer.runtime.contact import Contact
from gossamer.runtime.federation_file import Federation
from gossamer.runtime.joining import JOIN, PLAN
from gossamer.runtime.progress import Progress
from gossamer.runtime.service import SiteService
from gossamer.runtime.site_folder import SiteFolder
from gossamer.runtime.site_notices import END
from gossamer.runtime.site_results import RESULT
from gossamer.runtime.status import PeerStatus, SiteStatus, Stage, at_time
from gossamer.transport.base import PeerState

UNKNOWN = PeerState()


def status_of(
    site: SiteFolder,
    federation: Federation,
    stage: Stage | None,
    contact: Contact | None,
    service: SiteService | None,
) -> SiteStatus:
    """How a site gets on.

    Args:
        site: its folder.
        federation: of the run.
        stage: what it does; None for what its node does.
        contact: with its peers; None before there is one.
        service: of its node; None likewise.
    """
    me = federation.member(site.identity.site_id).name
    peers = sorted(SiteId(member.name) for member in federation.settings.sites if member.name != me)
    progress = service.progress if service else Progress()
    return SiteStatus(
        site=me,
        site_id=site.identity.site_id,
        federation=federation.sha256,
        title=federation.settings.title,
        release=__version__,
        at=at_time(time.time()),
        stage=stage or progress.phase,
        round_index=progress.round_index,
        rounds=federation.settings.rounds,
        phase_s=progress.phase_s,
        loss=progress.loss,
        waits_for=_waited_for(SiteId(me), federation, stage, contact, service) if contact else (),
        refusals=dict(progress.refusals),
        certificate_ends=site.tls.ends,
        peers=tuple(_peer_status(peer, contact, service) for peer in peers),
    )


def _waited_for(
    me: SiteId, federation: Federation, stage: Stage | None, contact: Contact, service: SiteService | None
) -> tuple[SiteId, ...]:
    """Sites without which this one cannot go on; those that join later are not waited for."""
    match stage:
        case "joining":
            founders = federation.settings.founders
            return contact.missing(JOIN, founders) or contact.missing(PLAN, founders)
        case "waiting for results":
            return contact.missing(RESULT, (me, *(service.peers_here() if service else ())))
        case "done":
            return contact.missing(END, contact.board.said(JOIN))
        case _:
            return service.progress.waits_for if service else ()


def _peer_status(peer: SiteId, contact: Contact | None, service: SiteService | None) -> PeerStatus:
    way = contact.transport.states[peer] if contact else UNKNOWN
    progress = service.progress if service else Progress()
    heard = progress.heard.get(peer)
    round_index = heard.round_index if heard else None

    def has_said(topic: str) -> bool:
        return contact is not None and peer in contact.board.said(topic)

    return PeerStatus(
        site=peer,
        reachable=way.is_up,
        since=at_time(way.since_s),
        refusal=None if way.refusal is None else str(way.refusal),
        refusal_code=None if way.refusal is None else way.refusal.code,
        joined=has_said(JOIN),
        agreed=has_said(PLAN),
        heard=at_time(heard.at_s) if heard else None,
        round_index=round_index,
        behind=None if round_index is None else progress.round_index - round_index,
        shares=service.absorbed.get(peer, 0) if service else 0,
        finished=has_said(RESULT),
        bytes_sent=way.bytes_sent,
        bytes_received=way.bytes_received,
    )
