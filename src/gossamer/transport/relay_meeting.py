"""A site's way through a relay to one peer, up to where their own words begin.

Law
    1. Nothing but a token and a proof is said to a relay; nothing at all to whoever it joins with this site, before
       they have shown the pair's key.
    2. Every step ends in its time, but for the wait for the peer, in which the relay shows now and then that it is
       there.
"""

from __future__ import annotations

import asyncio
import os
from asyncio import IncompleteReadError, StreamReader, StreamWriter
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass

from gossamer.errors import PeerError, RelayAwayError, RelayRefusedError
from gossamer.transport.relay_address import host_and_port
from gossamer.transport.relay_envelope import CONTENT_BYTES, LENGTH_BYTES, NONCE_BYTES, Envelope
from gossamer.transport.relay_pair import Pair
from gossamer.transport.relay_words import GREETING, HEARTBEAT_S, Purpose, Word, knock
from gossamer.transport.relay_words import NONCE_BYTES as RELAYS_NONCE_BYTES

REACH_S = 15.0
"""For a connection and a greeting."""

SILENCE_S = 3 * HEARTBEAT_S
"""A relay that says nothing for so long is gone."""

SHOW_S = 20.0
"""For whoever is at the other end to show that it has the pair's key."""

CLOSE_S = 1.0


@dataclass(frozen=True)
class RelayPlace:
    """A relay, as a site knows it.

    Attributes:
        address: ``host:port``.
        secret: by which its owner lets the site in.
    """

    address: str
    secret: bytes


class Sealed:
    """A connection through a relay: contents of envelopes, each way in order."""

    def __init__(self, reader: StreamReader, writer: StreamWriter, envelope: Envelope) -> None:
        self._reader = reader
        self._writer = writer
        self._envelope = envelope

    async def read(self) -> bytes:
        """The next content; it may be empty.

        Raises:
            ConnectionError: the connection has ended.
            RelayMeddledError: what came is not what the other end sealed next.
        """
        length = self._envelope.length(await _exactly(self._reader, LENGTH_BYTES))
        return self._envelope.open(await _exactly(self._reader, length))

    async def write(self, content: bytes) -> None:
        """Seal at most ``CONTENT_BYTES`` and hand them over; waits while the other end is slow.

        Raises:
            ConnectionError: the connection has ended.
        """
        assert len(content) <= CONTENT_BYTES
        try:
            self._writer.write(
                self._envelope.seal(content)
            )  # without a pause between, so that records keep their order
            await self._writer.drain()
        except OSError as error:
            raise ConnectionError(str(error)) from error

    async def close(self) -> None:
        """Hang up; what was said last may still arrive, for a moment."""
        await _hang_up(self._writer)


async def meet(relay: RelayPlace, pair: Pair, peer: str, on_let_in: Callable[[], None] = lambda: None) -> Sealed:
    """Wait at a relay for a peer, however long, and make sure that it is that peer.

    Args:
        relay: where to.
        pair: this end.
        peer: what messages call the other.
        on_let_in: told when the relay takes this site for a guest.

    Raises:
        RelayAwayError: the relay cannot be reached.
        RelayRefusedError: it does not let this site in.
        RelayMeddledError: who it joined with this site is somebody else.
        ConnectionError: a connection ended.
    """
    while True:
        reader, writer = await _reach(relay, pair, Purpose.MEET)
        async with AsyncExitStack() as failing:
            failing.push_async_callback(_hang_up, writer)
            if await _joined_or_late(relay, reader, on_let_in) is Word.JOINED:
                sealed = await _prove(reader, writer, pair, peer)
                failing.pop_all()
                return sealed


async def is_there(relay: RelayPlace, pair: Pair) -> bool:
    """Ask a relay whether the peer waits there, or is joined with this site.

    Raises:
        RelayAwayError: the relay cannot be reached.
        RelayRefusedError: it does not let this site in.
    """
    reader, writer = await _reach(relay, pair, Purpose.ASK)
    try:
        async with asyncio.timeout(REACH_S):
            word = await _word(relay, reader)
    except (OSError, TimeoutError) as error:
        raise _away(relay, "that it says nothing") from error
    finally:
        await _hang_up(writer)
    if word in (Word.THERE, Word.ALONE):
        return word is Word.THERE
    raise _refused(relay, word)


async def _reach(relay: RelayPlace, pair: Pair, purpose: Purpose) -> tuple[StreamReader, StreamWriter]:
    """Connect, be greeted, and knock."""
    try:
        async with asyncio.timeout(REACH_S):
            reader, writer = await asyncio.open_connection(*host_and_port(relay.address), limit=CONTENT_BYTES)
    except TimeoutError as error:
        raise _away(relay, "no answer") from error
    except OSError as error:
        raise _away(relay, error.strerror or "no way") from error
    async with AsyncExitStack() as failing:
        failing.push_async_callback(_hang_up, writer)
        try:
            async with asyncio.timeout(REACH_S):
                greeting = await _exactly(reader, len(GREETING) + RELAYS_NONCE_BYTES)
                nonce = greeting.removeprefix(GREETING)
                writer.write(knock(relay.secret, nonce, purpose, pair.side, pair.token).to_bytes())
                await writer.drain()
        except (OSError, TimeoutError) as error:
            raise _away(relay, "that it takes connections and does not greet") from error
        if len(nonce) != RELAYS_NONCE_BYTES:
            raise _away(relay, "something else there, or another release")
        failing.pop_all()
    return reader, writer


async def _joined_or_late(relay: RelayPlace, reader: StreamReader, on_let_in: Callable[[], None]) -> Word:
    while True:
        try:
            async with asyncio.timeout(SILENCE_S):
                word = await _word(relay, reader)
        except TimeoutError as error:
            raise ConnectionError("the relay says nothing") from error
        if word not in (Word.WAIT, Word.JOINED, Word.LATE):
            raise _refused(relay, word)
        on_let_in()
        if word is not Word.WAIT:
            return word


async def _word(relay: RelayPlace, reader: StreamReader) -> Word:
    try:
        return Word(await _exactly(reader, 1))
    except ValueError as error:
        raise _away(relay, "something else there, or another release") from error


async def _prove(reader: StreamReader, writer: StreamWriter, pair: Pair, peer: str) -> Sealed:
    """Each end seals nothing, in the first envelope; who opens the other's knows that it has the pair's key."""
    try:
        async with asyncio.timeout(SHOW_S):
            own_nonce = os.urandom(NONCE_BYTES)
            writer.write(own_nonce)
            sealed = Sealed(reader, writer, Envelope(pair, own_nonce, await _exactly(reader, NONCE_BYTES), peer))
            await sealed.write(b"")
            await sealed.read()
    except TimeoutError as error:
        raise ConnectionError("the other end says nothing") from error
    return sealed


async def _exactly(reader: StreamReader, length: int) -> bytes:
    try:
        return await reader.readexactly(length)
    except (IncompleteReadError, OSError) as error:
        raise ConnectionError("the connection ended") from error


async def _hang_up(writer: StreamWriter) -> None:
    writer.close()
    try:
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await writer.wait_closed()
    finally:
        writer.transport.abort()


def _away(relay: RelayPlace, found: str) -> RelayAwayError:
    return RelayAwayError(
        f"wanted the relay at {relay.address}; found {found}; ask who runs it whether it is up, and have the way out "
        "to this address and port opened"
    )


def _refused(relay: RelayPlace, word: Word) -> PeerError:
    found, remedy = {
        Word.NOT_ADMITTED: (
            "that it does not know this site's secret",
            "ask who runs it for the secret, for site.toml",
        ),
        Word.FULL: ("that it has no room left", "ask who runs it to allow more guests"),
        Word.OFTEN: ("that this site calls too often", "wait a minute; if it stays so, does this site run twice?"),
        Word.REPLACED: ("that this site has called once more since", "does this site run twice, with one key?"),
    }.get(word, ("an answer to another question", "update the older of the two"))
    return RelayRefusedError(f"wanted to be let in by the relay at {relay.address}; found {found}; {remedy}")
