"""Lines over gRPC and mutual TLS: each site listens where others can reach it, and dials those it can reach.

Law
    1. Only sites of the roster are spoken with, in either direction, and each is who its certificate says: the TLS
       certificate is signed by the very identity that the roster holds for its name. Members cannot pose as each other.
    2. There is no plaintext: without a key and a roster nothing starts.
    3. One stream a pair. Of two sites that can reach each other the one whose id comes first dials, so that two streams
       do not cross; if it does not get through, the other tries too. A site without an address dials, and is not
       dialled.

gRPC has no callback to verify a peer, so trust is laid out beforehand: a channel trusts one identity, the server all of
the roster; which of them a caller is, the handler reads from its certificate, and checks the signature again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding

from gossamer.errors import GossamerError, PeerError, ResourceError, StrangerError
from gossamer.gossip.topology import SiteId
from gossamer.transport.grpc_streams import Answered, Dialled, Operations
from gossamer.transport.identity import TlsCertificate, site_id_of, site_id_of_tls_name, tls_name
from gossamer.transport.line import Line, Stream
from gossamer.transport.line_messages import CHUNK_BYTES, HASH_BYTES, NUMBER_BYTES, Hello
from gossamer.transport.peer_lines import LinesTransport, folder_of_line
from gossamer.wire.limits import Limits

METHOD = "/gossamer.Line/Speak"

REDIAL_S = (0.5, 60.0)
"""Shortest and longest pause before a peer is dialled again; doubled each time that it did not answer."""

PATIENCE_S = 30.0
"""How long a site whose id comes later waits to be dialled before it dials."""

LOOKS_AFTER = 3
"""So many dials in vain are no coincidence, and no peer that is just being started."""

KEEPALIVE_S = 30
ANSWER_S = 20
"""A peer that leaves a ping unanswered is taken for gone: a hung process, a half-open connection, a firewall that
forgot."""


@dataclass(frozen=True)
class Peer:
    """A site of the roster.

    Attributes:
        name: what messages call it.
        certificate: its identity.
        address: ``host:port`` where it listens; None for a site that only dials out.
    """

    name: SiteId
    certificate: x509.Certificate
    address: str | None

    @property
    def site_id(self) -> str:
        """SHA-256 of its public key."""
        return site_id_of(self.certificate)


async def _look_nowhere(_peer: Peer) -> None:
    """Nothing is found."""


class GrpcTransport(LinesTransport[Line]):
    """This site's lines to all its peers."""

    def __init__(
        self,
        me: Peer,
        peers: Mapping[SiteId, Peer],
        *,
        certificate: Callable[[], TlsCertificate],
        hello: Hello,
        limits: Limits,
        folder: Path,
        listen: str | None,
        on_refusal: Callable[[str, GossamerError], None] = lambda who, error: None,
        look: Callable[[Peer], Awaitable[GossamerError | None]] = _look_nowhere,
    ) -> None:
        """Lines without streams; ``start`` makes them.

        Args:
            me: this site.
            peers: the others, by name.
            certificate: asked at each handshake, so that a renewed one is used without a stop.
            hello: what this site says first.
            limits: of frames.
            folder: for what is coming in.
            listen: ``address:port`` to listen on; None for a site that only dials out.
            on_refusal: told of each caller that was sent away, and of each peer that cannot be reached, and why.
            look: says what is wrong with the way to a peer; None where nothing is, or nothing is found in time.
        """
        super().__init__(len(peers))
        self._me = me
        self._peers = peers
        self._certificate = certificate
        self._listen = listen
        self._on_refusal = on_refusal
        self._look = look
        for name, peer in peers.items():
            own = folder_of_line(folder, peer.certificate)
            self.lines[name] = Line(
                name, hello, limits=limits, folder=own, deliver=self._deliver, on_peer_started=self._note_start
            )
        self._by_id = {peer.site_id: peer for peer in peers.values()}
        self._server: grpc.aio.Server | None = None
        self._starting: asyncio.Future[None] | None = None
        self._dialling: list[asyncio.Task[None]] = []
        self._answering: set[asyncio.Task[None]] = set()
        self._operations = Operations()
        self._found: dict[SiteId, GossamerError] = {}

    async def start(self) -> int | None:
        """Listen and dial; returns the port it listens on.

        Raises:
            ConnectionError: the address to listen on is taken or not this machine's.
        """
        port = await self._start_listening() if self._listen else None
        for peer in self._peers.values():
            if peer.address:
                self._dialling.append(asyncio.create_task(self._keep_dialling(peer, peer.address)))
        return port

    async def close(self) -> None:
        """See ``Transport``."""
        speaking = [*self._dialling, *self._answering]
        for task in speaking:
            task.cancel()
        await asyncio.gather(*speaking, return_exceptions=True)
        if self._starting is not None:
            await asyncio.wait({self._starting})
        if self._server is not None:
            await self._server.stop(grace=1.0)
        await self._operations.end()

    async def _start_listening(self) -> int:
        assert self._listen is not None
        self._server = grpc.aio.server(options=_OPTIONS)
        handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_stream_rpc_method_handler(self._answer)
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("gossamer.Line", {"Speak": handler}),)
        )
        try:
            port: int = self._server.add_secure_port(self._listen, self._server_credentials())
        except RuntimeError as error:
            raise ConnectionError(f"cannot listen on {self._listen}") from error
        # gRPC cannot stop a server that was cancelled while it began, nor one that begins yet: ``close`` waits for it.
        self._starting = asyncio.ensure_future(self._server.start())
        await asyncio.shield(self._starting)
        return port

    def _server_credentials(self) -> grpc.ServerCredentials:
        roster = b"".join(_pem(peer.certificate) for peer in self._peers.values())
        used = self._certificate()

        def configuration(shown: TlsCertificate) -> grpc.ServerCertificateConfiguration:
            return grpc.ssl_server_certificate_configuration([(shown.key_pem, shown.chain_pem)], roster)

        def renewed() -> grpc.ServerCertificateConfiguration | None:
            # Asked at each handshake. A configuration in answer, even an equal one, replaces what the core holds while
            # other handshakes read it without a lock: anyone who opened two connections at once could end the process.
            nonlocal used
            shown = self._certificate()
            if shown == used:
                return None
            used = shown
            return configuration(shown)

        return grpc.dynamic_ssl_server_credentials(
            configuration(used),
            renewed,  # type: ignore[arg-type]  # None is an answer, too, which its types do not know
            require_client_authentication=True,
        )

    async def _answer(self, _requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        peer = self._caller(context.auth_context())
        if peer is None:
            self._on_refusal(
                "a caller",
                StrangerError(
                    "wanted a caller to be a member; found that its certificate is not signed by the identity of the "
                    "site it names; if a member made it, let that site run: gossamer site renew"
                ),
            )
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "not a site of this federation")
            return
        # A task of its own: gRPC cancels a handler when the caller hangs up, which may be before it has read why it was
        # sent away; that is to be noted all the same. The stream ends for the task as for any reader.
        speaking = asyncio.create_task(self._speak_with_caller(peer, context))
        self._answering.add(speaking)
        speaking.add_done_callback(self._answering.discard)
        await asyncio.wait({speaking})

    async def _speak_with_caller(self, peer: Peer, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        with suppress(ConnectionError):
            await self._speak(peer, Answered(context, self._operations))

    def _caller(self, auth_context: Mapping[str, Any]) -> Peer | None:
        """The member that signed the caller's certificate for its own name; None for anyone else."""
        try:
            [pem] = auth_context["x509_pem_cert"]
            certificate = x509.load_pem_x509_certificate(pem)
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            [name] = names.get_values_for_type(x509.DNSName)
            peer = self._by_id[site_id_of_tls_name(name) or ""]
            certificate.verify_directly_issued_by(peer.certificate)
        except (KeyError, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
            return None
        return peer

    async def _keep_dialling(self, peer: Peer, address: str) -> None:
        state = self.lines[peer.name].state
        pause_s, longest_s = REDIAL_S
        if self._listen and peer.site_id < self._me.site_id:
            await asyncio.sleep(PATIENCE_S)
        in_vain = 0
        while True:
            before = state.streams
            if not state.is_up:
                await self._dial(peer, address)
            in_vain = 0 if state.is_up or state.streams > before else in_vain + 1
            if in_vain >= LOOKS_AFTER:
                await self._find_out(peer)
            pause_s = REDIAL_S[0] if state.streams > before else min(2 * pause_s, longest_s)
            await asyncio.sleep(pause_s)

    async def _find_out(self, peer: Peer) -> None:
        """Why a peer cannot be reached: gRPC says that it is unavailable, whatever the reason."""
        state, before = self.lines[peer.name].state, self._found.pop(peer.name, None)
        found = await self._look(peer)
        if state.is_up:
            return
        if found is not None:
            self._found[peer.name] = state.refusal = found
            if before is None or before.code != found.code:
                self._on_refusal(peer.name, found)
        elif state.refusal is before:
            state.refusal = None

    async def _dial(self, peer: Peer, address: str) -> None:
        """Be on the line with a peer until it breaks."""
        credentials, options = channel_to(peer, self._certificate())
        async with grpc.aio.secure_channel(address, credentials, options) as channel:
            call: grpc.aio.StreamStreamCall[bytes, bytes] = channel.stream_stream(METHOD)()
            with suppress(ConnectionError):
                await self._speak(peer, Dialled(call, self._operations))

    async def _speak(self, peer: Peer, stream: Stream) -> None:
        try:
            try:
                await self.lines[peer.name].speak(stream)
            except PeerError as error:
                self._on_refusal(peer.name, error)
        except ResourceError as error:
            await self._fail(error)


_OPTIONS: list[tuple[str, Any]] = [
    ("grpc.max_receive_message_length", CHUNK_BYTES + 1 + HASH_BYTES + NUMBER_BYTES),
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_time_ms", KEEPALIVE_S * 1000),
    ("grpc.keepalive_timeout_ms", ANSWER_S * 1000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", KEEPALIVE_S * 1000 // 2),
    ("grpc.so_reuseport", 0),  # two services on one port would share the callers
]


def channel_to(peer: Peer, shown: TlsCertificate) -> tuple[grpc.ChannelCredentials, list[tuple[str, Any]]]:
    """Credentials and options of a channel that trusts this peer alone, under its own name."""
    credentials = grpc.ssl_channel_credentials(_pem(peer.certificate), shown.key_pem, shown.chain_pem)
    return credentials, [*_OPTIONS, ("grpc.ssl_target_name_override", tls_name(peer.site_id))]


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)
