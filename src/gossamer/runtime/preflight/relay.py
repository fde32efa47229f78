"""The way to a peer through a relay: whether the relay is there, lets this site in, and has the peer waiting.

Nothing is said to the peer, which notices nothing. That it waits under the same token shows already that it has the
roster's key, has this site under the present one, and has approved the same federation file.
"""

from __future__ import annotations

import asyncio

from gossamer.errors import NobodyWaitsError, PeerError
from gossamer.runtime.card import Member
from gossamer.runtime.federation_file import Federation
from gossamer.runtime.preflight.finding import Finding, fault, fault_of, ok
from gossamer.runtime.site_folder import RelaySettings
from gossamer.transport.identity import Identity
from gossamer.transport.relay_meeting import RelayPlace, is_there
from gossamer.transport.relay_pair import pair_of


def check_relay(check: str, member: Member, me: Identity, relay: RelaySettings, federation: Federation) -> Finding:
    """Ask a relay for a peer.

    Args:
        check: what the finding is called.
        member: the peer.
        me: this site.
        relay: where the two meet.
        federation: the file that both should have approved.
    """
    pair = pair_of(me, member.identity, federation.sha256)
    try:
        found = asyncio.run(is_there(RelayPlace(relay.address, relay.secret.encode()), pair))
    except PeerError as error:
        return fault_of(check, error, member.name)
    if not found:
        return fault(
            check,
            NobodyWaitsError,
            f"the relay at {relay.address} lets this site in; the peer is not there",
            "ask that site whether its service runs, names the same relay, and has approved the same federation file",
            member.name,
        )
    return ok(check, f"dials out only, as this site does; it is at the relay at {relay.address}", member.name)
