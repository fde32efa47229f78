"""Relays that do more than they should: the sites find it, take nothing, say why, and go on when it is over."""

import asyncio

import pytest

from gossamer.errors import RelayMeddledError
from gossamer.transport.relay_meeting import RelayPlace, meet
from gossamer.transport.relay_pair import pair_of
from gossamer.transport.relay_words import GREETING, KNOCK_BYTES, NONCE_BYTES, Word


class Meddling:
    """Changes the pieces on a wire, from some number of bytes on, once."""

    def __init__(self, how, after):
        self.how, self.left, self.kept = how, after, None

    def __call__(self, piece):
        if self.how is None or self.left > 0 or len(piece) < 1000:
            self.left -= len(piece)
            return [piece]
        match self.how:
            case "flips a bit":
                changed = [piece[:500] + bytes([piece[500] ^ 1]) + piece[501:]]
            case "repeats":
                changed = [piece, piece]
            case "leaves out":
                changed = []
            case "reorders" if self.kept is None:
                self.kept = piece
                return []
            case "reorders":
                changed = [piece, self.kept]
        self.how = None
        return changed


@pytest.mark.parametrize(
    ("how", "after"),
    [
        ("flips a bit", 0),
        ("repeats", 0),
        *((how, 500_000) for how in ("flips a bit", "repeats", "leaves out", "reorders")),
    ],
)
def test_bytes_that_a_relay_changes_are_refused_with_the_reason_and_the_frame_comes_whole(world, tmp_path, how, after):
    async def run():
        meddling = Meddling(how, after)
        async with world.relay() as at, world.tap(at.port, meddling) as wire:
            a, b = world.site("a", tmp_path, wire.port), world.site("b", tmp_path, at.port)
            async with world.working(a, b):
                sending = asyncio.create_task(a.transport.send("b", world.frame))
                async with asyncio.timeout(60):
                    assert await b.one() == ("a", world.frame.to_bytes())
                    await sending
            assert meddling.how is None
            [(who, reason), *more] = a.refused + b.refused
            assert not more
            assert who in "ab"
            assert f"wanted what site {who} sent, in its order; found other bytes" in reason

    asyncio.run(run())


class FalseRelay:
    """Lets everybody in, and does with them what it likes."""

    def __init__(self, deal):
        self._deal, self._guests = deal, []

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._receive, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for writer in self._guests:
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _receive(self, reader, writer):
        self._guests.append(writer)
        writer.write(GREETING + bytes(NONCE_BYTES))
        try:
            await reader.readexactly(KNOCK_BYTES)
            await self._deal(reader, writer)
        except (OSError, EOFError):
            pass
        finally:
            writer.close()


def crossing():
    """Joins whoever comes, in the order in which they come."""
    waiting = []

    async def deal(reader, writer):
        if not waiting:
            waiting.append((reader, writer))
            await asyncio.sleep(60)
        peer_reader, peer_writer = waiting.pop()
        for each in (writer, peer_writer):
            each.write(Word.JOINED.value)
        await asyncio.gather(passing(reader, peer_writer), passing(peer_reader, writer))

    return deal


async def passing(reader, writer):
    while piece := await reader.read(2**16):
        writer.write(piece)
    writer.close()


def test_a_relay_that_joins_the_wrong_two_is_found_out_before_anything_is_said(world, tmp_path):
    """Site a waits for b, and is joined with c, which waits for b as well."""

    async def run():
        async with FalseRelay(crossing()) as false:
            a, c = world.site("a", tmp_path, false.port), world.site("c", tmp_path, false.port, peers="bc")
            async with world.working(a, c):
                await world.until(lambda: a.refused and c.refused)
            for each in (a, c):
                assert each.refused[0][0] == "b"
                assert "wanted site b at the other end; found somebody without its key" in each.refused[0][1]
                assert each.states["b"].streams == 0

    asyncio.run(run())


def test_a_connection_that_was_recorded_cannot_be_played_again(world, tmp_path):
    def keep(_piece):
        return [_piece]

    async def record():
        async with world.relay() as at, world.tap(at.port, keep) as wire:
            a, b = world.site("a", tmp_path, at.port), world.site("b", tmp_path, wire.port)
            async with world.working(a, b):
                sending = asyncio.create_task(b.transport.send("a", world.frame))
                await a.one()
                await sending
            return bytes(wire.seen)

    seen = asyncio.run(record())
    began = seen.index(Word.JOINED.value, len(GREETING) + NONCE_BYTES + KNOCK_BYTES)

    async def play(_reader, writer):
        writer.write(Word.JOINED.value + seen[began + 1 :])
        await asyncio.sleep(5)

    async def run():
        async with FalseRelay(play) as false:
            pair = pair_of(world.identities["a"], world.identities["b"].certificate, world.hello.federation)
            with pytest.raises(RelayMeddledError):
                await meet(RelayPlace(f"127.0.0.1:{false.port}", b"any"), pair, "b")

    asyncio.run(run())


def test_a_relay_that_sends_a_site_its_own_words_back_is_found_out(world):
    async def mirror(reader, writer):
        writer.write(Word.JOINED.value)
        await passing(reader, writer)

    async def run():
        async with FalseRelay(mirror) as false:
            pair = pair_of(world.identities["a"], world.identities["b"].certificate, world.hello.federation)
            with pytest.raises(RelayMeddledError, match="without its key"):
                await meet(RelayPlace(f"127.0.0.1:{false.port}", b"any"), pair, "b")

    asyncio.run(run())


@pytest.mark.parametrize("says", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n" * 3, b"SSH-2.0-OpenSSH_9.6\r\n"])
def test_what_is_no_relay_is_said_not_to_be_one(world, tmp_path, says):
    async def other(_reader, writer):
        writer.write(says)
        writer.close()

    async def run():
        server = await asyncio.start_server(other, "127.0.0.1", 0)
        a = world.site("a", tmp_path, server.sockets[0].getsockname()[1])
        async with world.working(a):
            await world.until(lambda: a.states["b"].refusal)
        server.close()
        assert "wanted the relay at" in str(a.states["b"].refusal)
        assert a.refused == []

    asyncio.run(run())
