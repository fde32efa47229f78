"""A line's stream through a relay: mutual TLS 1.3 from site to site, in the pair's envelope, and messages in it.

    message: length (4, big-endian), bytes; one of length 0 is none, and says that this end is still there

Law
    1. The other end is the holder of the peer's identity, shown by a certificate that this identity signed and that is
       valid now, as on every other line; this end shows the same of itself.
    2. A peer from which nothing comes for ``SILENCE_S`` is taken for gone.
    3. No message is longer than lines make them.

Certificates, keys and their checks are OpenSSL's; the side whose id comes first plays TLS' server.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gossamer.errors import IdentityError, NotAcceptedError, PeerCertificateError, PeerError
from gossamer.transport.identity import site_id_of, tls_name
from gossamer.transport.line import Stream
from gossamer.transport.line_messages import CHUNK_BYTES, HASH_BYTES, NUMBER_BYTES
from gossamer.transport.relay_envelope import CONTENT_BYTES
from gossamer.transport.relay_meeting import Sealed
from gossamer.wire.frame import wire_error

LENGTH_BYTES = 4
MAX_MESSAGE_BYTES = CHUNK_BYTES + 1 + HASH_BYTES + NUMBER_BYTES

PING_S = 15.0
SILENCE_S = 50.0
"""Three pings, and as long as gRPC lines have it (``KEEPALIVE_S`` and ``ANSWER_S``)."""

HANDSHAKE_S = 20.0


class RelayStream(Stream):
    """One end."""

    def __init__(self, sealed: Sealed, context: ssl.SSLContext, certificate: x509.Certificate, peer: str) -> None:
        """A stream before its handshake; see ``secured``."""
        self._sealed = sealed
        self._peer = peer
        self._came, self._going = ssl.MemoryBIO(), ssl.MemoryBIO()
        answers = context.protocol is ssl.PROTOCOL_TLS_SERVER
        name = None if answers else tls_name(site_id_of(certificate))
        self._tls = context.wrap_bio(self._came, self._going, server_side=answers, server_hostname=name)
        self._buffer = bytearray()
        self._one = asyncio.Lock()
        self._pinging: asyncio.Task[None] | None = None

    async def shake_hands(self) -> None:
        """Let both ends show who they are.

        Raises:
            PeerError: one does not take the other.
            ConnectionError: the connection ended.
        """
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                self._came.write(await self._sealed.read())
            except ssl.SSLError as error:
                with suppress(ConnectionError):
                    await self._flush()  # the other end is told, too
                raise self._refusal(error) from error
            else:
                break
        await self._flush()
        self._pinging = asyncio.create_task(self._ping())

    async def read(self) -> bytes | None:
        """See ``Stream``.

        Raises:
            PeerError: the other end does not take this site, or what came is not what it sent.
        """
        while True:
            head = await self._bytes(LENGTH_BYTES)
            if head is None:
                return None
            length = int.from_bytes(head, "big")
            if length > MAX_MESSAGE_BYTES:
                raise wire_error("line", f"a message of at most {MAX_MESSAGE_BYTES} bytes", length)
            if length:
                return await self._bytes(length)

    async def write(self, data: bytes) -> None:
        """See ``Stream``."""
        async with self._one:
            self._tls.write(len(data).to_bytes(LENGTH_BYTES, "big"))
            left = memoryview(data)
            while left:
                left = left[self._tls.write(left) :]
            await self._flush()

    async def close(self) -> None:
        """See ``Stream``."""
        if self._pinging is not None:
            self._pinging.cancel()
        await self._sealed.close()

    async def _bytes(self, count: int) -> bytes | None:
        """The next so many; None where the stream has ended before."""
        while len(self._buffer) < count:
            try:
                data = self._tls.read(CONTENT_BYTES)
            except ssl.SSLWantReadError:
                await self._flush()  # TLS has things of its own to say
                try:
                    async with asyncio.timeout(SILENCE_S):
                        self._came.write(await self._sealed.read())
                except (ConnectionError, TimeoutError):
                    return None
            except ssl.SSLZeroReturnError:
                return None
            except ssl.SSLError as error:
                raise self._refusal(error) from error
            else:
                self._buffer += data
        taken = bytes(memoryview(self._buffer)[:count])
        del self._buffer[:count]
        return taken

    async def _flush(self) -> None:
        while self._going.pending:
            await self._sealed.write(self._going.read(CONTENT_BYTES))

    async def _ping(self) -> None:
        with suppress(ConnectionError):
            while True:
                await asyncio.sleep(PING_S)
                if not self._one.locked():  # else something else tells that this end is there
                    await self.write(b"")

    def _refusal(self, error: ssl.SSLError) -> PeerError:
        if isinstance(error, ssl.SSLCertVerificationError):
            return PeerCertificateError(
                f"wanted a valid certificate of site {self._peer}; found one that is refused ({error.verify_message}), "
                "through the relay; let that site renew it, and compare the clocks of both"
            )
        words = (error.reason or "no reason was given").lower().replace("_", " ").rpartition("alert ")[2]
        return NotAcceptedError(
            f"wanted to be taken for a member by site {self._peer}; found that this site's certificate is refused "
            f"({words}), through the relay; renew it, and compare the clocks of both"
        )


async def secured(
    sealed: Sealed, *, answers: bool, certificate: x509.Certificate, peer: str, tls_file: Path
) -> RelayStream:
    """Let both ends show who they are; returns the stream between them.

    Args:
        sealed: the connection; it is closed where this raises.
        answers: whether this end plays TLS' server.
        certificate: the peer's identity; no other is trusted.
        peer: what messages call it.
        tls_file: this site's key and certificates, read now, so that a renewed one is used without a stop.

    Raises:
        IdentityError: this site has nothing to show.
        PeerError: one end does not take the other.
        ConnectionError: the connection ended.
    """
    async with AsyncExitStack() as failing:
        failing.push_async_callback(sealed.close)
        stream = RelayStream(sealed, _context(answers, certificate, tls_file), certificate, peer)
        try:
            async with asyncio.timeout(HANDSHAKE_S):
                await stream.shake_hands()
        except TimeoutError as error:
            raise ConnectionError("the other end says nothing") from error
        failing.pop_all()
    return stream


def _context(answers: bool, certificate: x509.Certificate, tls_file: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if answers else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=certificate.public_bytes(Encoding.DER))
    try:
        context.load_cert_chain(tls_file)
    except OSError as error:
        raise IdentityError(
            f"wanted this site's certificate; found none that TLS can use, at {tls_file.name}; make one with: gossamer "
            "site renew"
        ) from error
    return context
