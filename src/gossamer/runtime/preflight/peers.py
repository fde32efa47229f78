"""One peer, step by step, to the greeting that a line begins with: what would keep that line from coming up."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509

from gossamer import __version__
from gossamer.errors import (
    ConfigurationError,
    GossamerError,
    IdentityError,
    ListenError,
    NoAnswerError,
    PeerCertificateError,
    PeerError,
    PeerNameError,
    PortClosedError,
    ProxyError,
)
from gossamer.gossip.topology import SiteId
from gossamer.runtime.card import Member
from gossamer.runtime.federation_file import Federation
from gossamer.runtime.preflight.bounded import answer_to
from gossamer.runtime.preflight.finding import Finding, fault, fault_of, ok, warning
from gossamer.runtime.preflight.proxy import proxy_for
from gossamer.runtime.preflight.relay import check_relay
from gossamer.runtime.preflight.shown import require_identity, shown_certificate
from gossamer.runtime.preflight.way import host_and_port, reach, require_accepted, shake_hands
from gossamer.runtime.site_folder import ANNOUNCED, TLS, SiteFolder
from gossamer.transport.greeting import greet
from gossamer.transport.grpc_lines import Peer
from gossamer.transport.line_messages import PROTOCOLS, Hello
from gossamer.transport.store_address import store_opener

CHECK = "peer"


@dataclass(frozen=True)
class Patience:
    """How long each step towards a peer may take, in seconds; together far less than a whole check has."""

    connect_s: float = 10.0
    handshake_s: float = 10.0
    greeting_s: float = 15.0


DEFAULT_PATIENCE = Patience()

HURRIED = Patience(connect_s=5.0, handshake_s=5.0)
"""Of a site at work, which dials again meanwhile."""

HURRIED_S = 30.0
"""All steps; a name server that hangs is waited for no longer."""

UNREACHED = (PeerNameError, PortClosedError, NoAnswerError)
"""Nobody refused anything: the peer may be switched off, or on its way."""


def check_peer(
    member: Member, site: SiteFolder, federation: Federation, now: datetime, patience: Patience = DEFAULT_PATIENCE
) -> list[Finding]:
    """Look at the way to one peer, then greet it as a line would.

    Args:
        member: the peer.
        site: this site.
        federation: the file that both should have approved.
        now: the time (UTC).
        patience: for each step.
    """
    if member.address is None:
        return [_dials_out(member, site, federation)]
    peer = Peer(SiteId(member.name), member.identity, member.address)
    proxy = proxy_for(host_and_port(member.address)[0])
    findings = [_proxied(member, proxy)] if proxy else []
    shown = None
    try:
        try:
            shown = _look(peer, site, federation, now, patience)
        except UNREACHED:
            if proxy is None:
                raise  # else the way out leads through the proxy alone, and gRPC finds it
        hello = Hello(protocols=PROTOCOLS, release=__version__, federation=federation.sha256)
        said = greet(peer, site.tls, hello, patience.greeting_s)
    except (PeerError, IdentityError) as error:
        return [*findings, fault_of(CHECK, error, member.name)]
    return [*findings, _well(member, said, shown, now)]


def _look(peer: Peer, site: SiteFolder, federation: Federation, now: datetime, patience: Patience) -> x509.Certificate:
    """The way to a peer without gRPC; returns the certificate that it shows.

    Raises:
        PeerError: a line could not be made this way; each kind says why.
    """
    assert peer.address is not None
    names = {member.site_id: member.name for member in federation.settings.sites}
    connection = reach(peer.address, patience.connect_s)
    with closing(shake_hands(connection, site.path / TLS, peer, patience.handshake_s)) as tls:
        shown = shown_certificate(tls)
        require_identity(shown, peer, names, now)
        require_accepted(tls)
    return shown


async def why_down(peer: Peer, site: SiteFolder, federation: Federation) -> GossamerError | None:
    """What keeps a line to a peer from coming up, with the code that ``check_peer`` finds; None where nothing does.

    What only a greeting shows, the line that is greeted tells itself.

    Args:
        peer: it has an address.
        site: this site, at work.
        federation: that it takes part in.
    """
    return await answer_to(lambda: _why_down(peer, site, federation), HURRIED_S)


def _why_down(peer: Peer, site: SiteFolder, federation: Federation) -> GossamerError | None:
    assert peer.address is not None
    try:
        _look(peer, site, federation, datetime.now(UTC), HURRIED)
    except UNREACHED as error:
        return None if proxy_for(host_and_port(peer.address)[0]) else error
    except (PeerError, IdentityError) as error:
        return error
    return None


def _dials_out(member: Member, site: SiteFolder, federation: Federation) -> Finding:
    if site.settings.listen and site.settings.address:
        return ok(CHECK, f"dials out only; it will dial this site at {site.settings.address}", member.name)
    if (relay := site.settings.relay) is not None:
        return check_relay(CHECK, member, site.identity, relay, federation)
    if (mailbox := site.settings.mailbox) is not None:
        try:
            store_opener(mailbox.address, mailbox.options)
        except ConfigurationError as error:
            return fault_of(CHECK, error, member.name)
        kind = mailbox.address.partition("://")[0]
        return ok(
            CHECK, f"dials out only, as this site does; they meet in a {kind} mailbox (not looked into)", member.name
        )
    found = "it dials out only, and so does this site: neither can call the other"
    remedy = (
        "let one of the two listen: set listen and address in its site.toml, and add its new card to the roster; or "
        "write [relay] or [mailbox] into both site.toml, with an address that both reach"
    )
    return fault(CHECK, ListenError, found, remedy, member.name)


def _proxied(member: Member, proxy: str) -> Finding:
    found = f"lines to it go through the HTTP proxy {proxy} of the environment"
    remedy = "add its host to no_proxy, unless the proxy is the only way out: it must let TLS through unopened"
    return warning("proxy", ProxyError, found, remedy, member.name)


def _well(member: Member, said: Hello, shown: x509.Certificate | None, now: datetime) -> Finding:
    found = f"{member.address} speaks with this site (release {said.release}"
    if shown is None:
        return ok(CHECK, f"{found}, through the proxy)", member.name)
    found += f", certificate good until {shown.not_valid_after_utc:%Y-%m-%d})"
    if shown.not_valid_after_utc - now <= ANNOUNCED:
        return warning(CHECK, PeerCertificateError, found, "remind that site of: gossamer site renew", member.name)
    return ok(CHECK, found, member.name)
