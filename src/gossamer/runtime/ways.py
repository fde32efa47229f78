"""By which way a site reaches each of its peers: a line where one of the two has an address, else a relay or mailbox.

Both ends find the same way, since the addresses stand in the federation file; sites without one name the same relay, or
the same mailbox.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from gossamer import __version__
from gossamer.errors import ConfigurationError, GossamerError
from gossamer.gossip.topology import SiteId
from gossamer.runtime.card import Member
from gossamer.runtime.federation_file import Federation
from gossamer.runtime.preflight.peers import why_down
from gossamer.runtime.site_folder import SETTINGS, TLS, SiteFolder
from gossamer.transport.base import Transport
from gossamer.transport.combined import CombinedTransport
from gossamer.transport.grpc_lines import GrpcTransport, Peer
from gossamer.transport.line_messages import PROTOCOLS, Hello
from gossamer.transport.mailbox import MailboxTransport
from gossamer.transport.relay_lines import RelayTransport
from gossamer.transport.relay_meeting import RelayPlace
from gossamer.transport.store_address import store_opener
from gossamer.transport.stores import Store
from gossamer.wire.limits import Limits


def transport_of(
    site: SiteFolder,
    federation: Federation,
    *,
    limits: Limits,
    folder: Path,
    on_refusal: Callable[[str, GossamerError], None],
    open_mailbox: Callable[[str, Mapping[str, str]], Callable[[], Store]] = store_opener,
) -> Transport:
    """All ways of a site in a federation, not started.

    Args:
        site: this site's folder.
        federation: with the roster.
        limits: of frames.
        folder: for what is coming in; of this site in this federation.
        on_refusal: told of each caller or letter that was refused, of each peer that cannot be reached, and why.
        open_mailbox: from the mailbox's address and options to what opens its folder.

    Raises:
        ConfigurationError: a peer can only be reached through a relay or mailbox, and the site has none, or one that
            cannot be opened so.
    """
    me = federation.member(site.identity.site_id)
    peers = [member for member in federation.settings.sites if member.site_id != me.site_id]
    unreached = [peer for peer in peers if not (me.address or peer.address)]
    hello = Hello(protocols=PROTOCOLS, release=__version__, federation=federation.sha256)
    lines = GrpcTransport(
        _peer(me),
        {SiteId(peer.name): _peer(peer) for peer in peers if peer not in unreached},
        certificate=lambda: site.tls,
        hello=hello,
        limits=limits,
        folder=folder / "incoming",
        listen=site.settings.listen,
        on_refusal=on_refusal,
        look=lambda peer: why_down(peer, site, federation),
    )
    if not unreached:
        return lines
    identities = {SiteId(peer.name): peer.identity for peer in unreached}
    mailbox, relay = site.settings.mailbox, site.settings.relay
    if relay is not None:
        meeting: Transport = RelayTransport(
            site.identity,
            identities,
            relay=RelayPlace(relay.address, relay.secret.encode()),
            tls_file=site.path / TLS,
            hello=hello,
            limits=limits,
            folder=folder / "relay",
            on_refusal=on_refusal,
        )
    elif mailbox is not None:
        meeting = MailboxTransport(
            site.identity,
            identities,
            open_store=open_mailbox(mailbox.address, mailbox.options),
            hello=hello,
            limits=limits,
            folder=folder / "mailbox",
            on_refusal=on_refusal,
        )
    else:
        raise ConfigurationError(
            f"wanted a way to site {', '.join(identities)}; found no address at either end, in the federation file, "
            f"and neither relay nor mailbox, in {SETTINGS}; let one of the two listen, or write [relay] or [mailbox], "
            "with an address that both reach"
        )
    return CombinedTransport([lines, meeting])


def _peer(member: Member) -> Peer:
    return Peer(SiteId(member.name), member.identity, member.address)
