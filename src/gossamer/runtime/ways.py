"""By which way a site reaches each of its peers: by a line where one of the two has an address, else by a mailbox.

Both ends find the same way, since the addresses stand in the federation file.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gossamer import __version__
from gossamer.errors import ConfigurationError
from gossamer.gossip.topology import SiteId
from gossamer.runtime.federation_file import Federation, Member
from gossamer.runtime.site_folder import SETTINGS, SiteFolder
from gossamer.transport.base import Transport
from gossamer.transport.combined import CombinedTransport
from gossamer.transport.grpc_lines import GrpcTransport, Peer
from gossamer.transport.line_messages import PROTOCOLS, Hello
from gossamer.transport.mailbox import MailboxTransport
from gossamer.transport.store_address import store_opener
from gossamer.wire.limits import Limits


def transport_of(
    site: SiteFolder, federation: Federation, *, limits: Limits, folder: Path, on_refusal: Callable[[str, str], None]
) -> Transport:
    """All ways of a site in a federation, not started.

    Args:
        site: this site's folder.
        federation: with the roster.
        limits: of frames.
        folder: for what is coming in; of this site in this federation.
        on_refusal: told of each caller or letter that was refused, and why.

    Raises:
        ConfigurationError: a peer can only be reached through a mailbox, and the site has none, or one that cannot be
            opened so.
    """
    me = federation.member(site.identity.site_id)
    peers = [member for member in federation.settings.sites if member.site_id != me.site_id]
    by_mailbox = [peer for peer in peers if not (me.address or peer.address)]
    hello = Hello(protocols=PROTOCOLS, release=__version__, federation=federation.sha256)
    parts: list[Transport] = [
        GrpcTransport(
            _peer(me),
            {SiteId(peer.name): _peer(peer) for peer in peers if peer not in by_mailbox},
            certificate=lambda: site.tls,
            hello=hello,
            limits=limits,
            folder=folder / "incoming",
            listen=site.settings.listen,
            on_refusal=on_refusal,
        )
    ]
    if by_mailbox:
        mailbox = site.settings.mailbox
        if mailbox is None:
            raise ConfigurationError(
                f"wanted a way to site {', '.join(peer.name for peer in by_mailbox)}; found no address at either end, "
                f"in the federation file, and no mailbox, in {SETTINGS}; let one of the two listen, or write [mailbox] "
                "with the address of a folder that both reach"
            )
        parts.append(
            MailboxTransport(
                site.identity,
                {SiteId(peer.name): peer.identity for peer in by_mailbox},
                open_store=store_opener(mailbox.address, mailbox.options),
                hello=hello,
                limits=limits,
                folder=folder / "mailbox",
                on_refusal=on_refusal,
            )
        )
    return parts[0] if len(parts) == 1 else CombinedTransport(parts)


def _peer(member: Member) -> Peer:
    return Peer(SiteId(member.name), member.identity, member.address)
