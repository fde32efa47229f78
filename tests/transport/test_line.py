"""Hand-overs outlive streams, restarts and damage, and take no more than the limits allow."""

import asyncio
import errno
import os
import re
from contextlib import suppress

import pytest
import torch

from gossamer.errors import OtherFederationError, OtherProtocolError, StorageError, WireError
from gossamer.transport import incoming
from gossamer.transport.incoming import Incoming
from gossamer.transport.line import MAX_UNSOUND, MOST_IN_MEMORY, Line, _chunks
from gossamer.transport.line_messages import CHUNK_BYTES, Chunk, Hello, Offer, Want, from_bytes, to_bytes
from gossamer.wire.frame import build_frame
from gossamer.wire.limits import Limits

HELLO = Hello(protocols=(1,), release="0.1.0", federation="ab" * 32)
SIZE = 5 * CHUNK_BYTES // 4  # of float32: five chunks
LIMITS = Limits({"weight": (torch.float32, (SIZE,))}, {})


def a_frame(seed=0, attempt=0):
    weight = torch.randn(SIZE, generator=torch.Generator().manual_seed(seed))
    return build_frame({"attempt": str(attempt)}, {"weight": weight})


class End:
    """A line and what came out of it."""

    def __init__(self, peer, folder, *, hello=HELLO, limits=LIMITS):
        self.came = []
        folder.mkdir(exist_ok=True)
        self.line = Line(peer, hello, limits=limits, folder=folder, deliver=self.take)
        self.arrived = asyncio.Event()

    async def take(self, sender, frame):
        self.came.append((sender, bytes(frame)))
        self.arrived.set()


async def speak(one, other, streams):
    """Both ends of a stream, until it ends; what they raise."""
    return await asyncio.gather(one.line.speak(streams[0]), other.line.speak(streams[1]), return_exceptions=True)


async def end(task, *streams):
    for stream in streams:
        await stream.close()
    return await task


def chunks(stream):
    return [data for data in stream.written if data[:1] == b"C"]


def test_a_frame_arrives_whole_at_both_ends_at_once(pair, tmp_path):
    async def run():
        a, b = End("b", tmp_path / "a"), End("a", tmp_path / "b")
        streams = pair()
        talk = asyncio.create_task(speak(a, b, streams))
        await asyncio.gather(a.line.send(a_frame(1)), b.line.send(a_frame(2)))
        assert a.came == [("b", a_frame(2).to_bytes())]
        assert b.came == [("a", a_frame(1).to_bytes())]
        assert a.line.state.is_up
        await end(talk, *streams)
        assert not a.line.state.is_up
        assert list(tmp_path.glob("*/*.part")) == []

    asyncio.run(run())


def test_small_and_empty_frames_arrive_too(pair, tmp_path):
    async def run():
        a, b = End("b", tmp_path / "a"), End("a", tmp_path / "b")
        streams = pair()
        talk = asyncio.create_task(speak(a, b, streams))
        receipt = build_frame({"kind": "receipt"}, {})
        await a.line.send(receipt)
        await a.line.send(receipt)
        assert b.came == [("a", receipt.to_bytes())] * 2
        await end(talk, *streams)

    asyncio.run(run())


def test_small_tensors_share_a_chunk_and_from_any_byte_on_the_rest_of_the_body_is_sent():
    tensors = {f"{at:03}": torch.full((at * 7919 % 200_000,), at % 251, dtype=torch.uint8) for at in range(60)}
    frame = build_frame({}, tensors)
    body = frame.to_bytes()[len(frame.header) :]
    for offset in (0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, len(body) // 2, len(body) - 1, len(body)):
        sent = [(at, b"".join(pieces)) for at, pieces in _chunks(frame, offset)]
        assert b"".join(content for _, content in sent) == body[offset:]
        assert [at for at, _ in sent] == list(range(offset, len(body), CHUNK_BYTES))


def test_of_a_fast_peer_no_more_chunks_are_held_than_agreed(pair, tmp_path, monkeypatch):
    held = []
    real = Incoming.take

    def take(incoming, contents):
        held.append(len(contents))
        return real(incoming, contents)

    async def run():
        large = build_frame({}, {"weight": torch.zeros(40 * CHUNK_BYTES // 4)})
        limits = Limits({"weight": (torch.float32, (40 * CHUNK_BYTES // 4,))}, {})
        a, b = End("b", tmp_path / "a", limits=limits), End("a", tmp_path / "b", limits=limits)
        streams = pair()
        talk = asyncio.create_task(speak(a, b, streams))
        await a.line.send(large)
        assert b.came == [("a", large.to_bytes())]
        await end(talk, *streams)

    monkeypatch.setattr(Incoming, "take", take)
    asyncio.run(run())
    assert sum(held) == 40
    assert max(held) <= MOST_IN_MEMORY


def test_a_disk_that_fails_beside_the_reading_ends_the_stream_with_the_reason(pair, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    async def run():
        a, b = End("b", tmp_path / "a"), End("a", tmp_path / "b")
        sending = asyncio.create_task(a.line.send(a_frame()))
        monkeypatch.setattr(incoming, "_write_all", fail)
        _, raised = await speak(a, b, pair())
        assert isinstance(raised, StorageError)
        sending.cancel()

    asyncio.run(run())


@pytest.mark.parametrize("restart", [False, True], ids=["same process", "restarted receiver"])
def test_a_hand_over_goes_on_at_the_chunk_where_it_broke(pair, tmp_path, restart):
    async def run():
        a, b = End("b", tmp_path / "a"), End("a", tmp_path / "b")
        first = pair(breaks_after=5)  # greeting, offer, three chunks
        talk = asyncio.create_task(speak(a, b, first))
        sending = asyncio.create_task(a.line.send(a_frame()))
        await talk
        assert len(chunks(first[0])) == 3
        if restart:
            b = End("a", tmp_path / "b")
        second = pair()
        talk = asyncio.create_task(speak(a, b, second))
        await sending
        assert b.came == [("a", a_frame().to_bytes())]
        [*_, third] = [from_bytes(data) for data in chunks(first[0])]
        assert from_bytes(chunks(second[0])[0]).offset == third.offset + len(third.content)
        assert len(chunks(second[0])) == 2
        await end(talk, *second)

    asyncio.run(run())


def test_a_restarted_sender_goes_on_too_though_it_counts_another_attempt(pair, tmp_path):
    async def run():
        a, b = End("b", tmp_path / "a"), End("a", tmp_path / "b")
        first = pair(breaks_after=5)
        talk = asyncio.create_task(speak(a, b, first))
        sending = asyncio.create_task(a.line.send(a_frame(attempt=0)))
        await talk
        sending.cancel()
        a = End("b", tmp_path / "a")
        second = pair()
        talk = asyncio.create_task(speak(a, b, second))
        await a.line.send(a_frame(attempt=10**6))
        assert b.came == [("a", a_frame(attempt=10**6).to_bytes())]
        assert len(chunks(second[0])) == 2
        await end(talk, *second)

    asyncio.run(run())


@pytest.mark.parametrize("breaks_after", range(7))
def test_wherever_a_stream_breaks_the_frame_arrives_once(pair, tmp_path, breaks_after):
    async def run():
        a, b = End("b", tmp_path / "a"), End("a", tmp_path / "b")
        sending = asyncio.create_task(a.line.send(a_frame()))
        await speak(a, b, pair(breaks_after=breaks_after))
        streams = pair()
        talk = asyncio.create_task(speak(a, b, streams))
        await sending
        assert set(b.came) == {("a", a_frame().to_bytes())}
        await end(talk, *streams)

    asyncio.run(run())


def test_what_the_disk_lost_is_asked_for_again(pair, tmp_path):
    async def run():
        a, b = End("b", tmp_path / "a"), End("a", tmp_path / "b")
        first = pair(breaks_after=5)
        talk = asyncio.create_task(speak(a, b, first))
        sending = asyncio.create_task(a.line.send(a_frame()))
        await talk
        [part] = (tmp_path / "b").glob("*.part")
        with part.open("r+b") as file:  # a power cut: the length is there, the bytes are not
            file.seek(CHUNK_BYTES)
            file.write(bytes(CHUNK_BYTES))
        streams = pair()
        talk = asyncio.create_task(speak(a, b, streams))
        await sending
        assert b.came == [("a", a_frame().to_bytes())]
        await end(talk, *streams)

    asyncio.run(run())


def test_bytes_that_are_never_those_offered_end_the_stream(pair, tmp_path):
    def spoil(data):
        return data[:-1] + bytes([data[-1] ^ 1]) if data[:1] == b"C" else data

    async def run():
        a, b = End("b", tmp_path / "a"), End("a", tmp_path / "b")
        streams = pair(spoil=spoil)
        sending = asyncio.create_task(a.line.send(a_frame()))
        _, raised = await speak(a, b, streams)
        assert isinstance(raised, WireError)
        assert len(chunks(streams[0])) == 5 * MAX_UNSOUND
        assert b.came == []
        sending.cancel()

    asyncio.run(run())


def test_a_frame_beyond_the_limits_is_refused_before_memory_is_taken(pair, tmp_path):
    async def run():
        b = End("a", tmp_path / "b")
        mine, theirs = pair()
        talk = asyncio.create_task(b.line.speak(theirs))
        await mine.write(to_bytes(HELLO))
        await mine.write(to_bytes(Offer(bytes(32), 2**40, b"")))
        with pytest.raises(WireError, match="length"):
            await talk
        assert list((tmp_path / "b").iterdir()) == []

    asyncio.run(run())


@pytest.mark.parametrize("offset", [1, 2**63])
def test_a_chunk_out_of_its_place_ends_the_stream(pair, tmp_path, offset):
    async def run():
        b = End("a", tmp_path / "b")
        mine, theirs = pair()
        talk = asyncio.create_task(b.line.speak(theirs))
        await mine.write(to_bytes(HELLO))
        await mine.write(to_bytes(Offer(bytes(32), 100, bytes(8))))
        await mine.read()
        assert from_bytes(await mine.read()) == Want(bytes(32), 0)
        await mine.write(to_bytes(Chunk(bytes(32), offset, memoryview(b"x" * 10))))
        with pytest.raises(WireError, match="chunk"):
            await talk

    asyncio.run(run())


@pytest.mark.parametrize(
    ("other", "kind", "words"),
    [
        (
            HELLO.model_copy(update={"protocols": (2, 3), "release": "9.0"}),
            OtherProtocolError,
            r"1 \(release 0.1.0\) .* 2, 3 \(release 9.0\)",
        ),
        (HELLO.model_copy(update={"federation": "cd" * 32}), OtherFederationError, "abababababab .* cdcdcdcdcdcd"),
    ],
    ids=["protocol", "federation"],
)
def test_sites_that_cannot_understand_each_other_say_so_at_both_ends(pair, tmp_path, other, kind, words):
    async def run():
        a, b = End("b", tmp_path / "a"), End("a", tmp_path / "b", hello=other)
        raised = await speak(a, b, pair())
        assert [type(error) for error in raised] == [kind] * 2
        assert a.line.state.refusal is raised[0]
        return str(raised[0])

    assert re.search(words, asyncio.run(run()))


def test_a_peer_that_comes_back_takes_the_place_of_its_dead_stream(pair, tmp_path):
    async def run():
        a, b = End("b", tmp_path / "a"), End("a", tmp_path / "b")
        dead = pair()
        first = asyncio.create_task(a.line.speak(dead[0]))
        await dead[1].write(to_bytes(HELLO))
        sending = asyncio.create_task(a.line.send(a_frame()))
        await asyncio.sleep(0)
        b = End("a", tmp_path / "b")
        streams = pair()
        talk = asyncio.create_task(speak(a, b, streams))
        await sending
        await first
        assert b.came == [("a", a_frame().to_bytes())]
        assert a.line.state.is_up
        await end(talk, *streams)

    asyncio.run(run())


def test_a_probe_is_answered_beside_the_stream_that_is_up_and_changes_nothing(pair, tmp_path):
    async def run():
        started = []
        a, b = End("b", tmp_path / "a"), End("a", tmp_path / "b")
        b.line._on_peer_started = started.append
        streams = pair()
        talk = asyncio.create_task(speak(a, b, streams))
        await a.line.send(a_frame(1))
        mine, theirs = pair()
        await mine.write(to_bytes(HELLO.model_copy(update={"probe": True, "life": "of another process"})))
        await b.line.speak(theirs)
        assert from_bytes(await mine.read()) == HELLO
        assert await mine.read() is None
        assert b.line.state.is_up
        assert b.line.state.streams == 1
        await a.line.send(a_frame(2))
        assert [bytes_ for _, bytes_ in b.came] == [a_frame(1).to_bytes(), a_frame(2).to_bytes()]
        await end(talk, *streams)
        assert started == []

    asyncio.run(run())


def test_a_probe_that_would_be_refused_is_told_why(pair, tmp_path):
    async def run():
        b = End("a", tmp_path / "b")
        mine, theirs = pair()
        await mine.write(to_bytes(HELLO.model_copy(update={"probe": True, "federation": "cd" * 32})))
        with pytest.raises(OtherFederationError):
            await b.line.speak(theirs)
        await mine.read()
        assert from_bytes(await mine.read()).code == OtherFederationError.code

    asyncio.run(run())


def test_a_peer_that_reads_no_replies_is_not_waited_for(pair, tmp_path):
    async def run():
        b = End("a", tmp_path / "b")
        mine, theirs = pair()
        talk = asyncio.create_task(b.line.speak(theirs))
        await mine.write(to_bytes(HELLO))
        with suppress(ConnectionError):  # until nobody takes any more
            for at in range(1000):
                await mine.write(to_bytes(Offer(at.to_bytes(32), 8, bytes(8))))
        with pytest.raises(WireError, match="offers at a time"):
            await talk

    asyncio.run(run())


@pytest.mark.parametrize(
    "data",
    [b"", b"X", b"H{", b'H{"protocols": [1]}', b"D" + bytes(31), b"D" + bytes(33), b"W" + bytes(39), b"W" + bytes(41),
     b"C" + bytes(40), b"C" + bytes(41 + CHUNK_BYTES), b"O" + bytes(39), b"N{}", b"H" + b" " * 5000],
)  # fmt: skip
def test_anything_else_than_a_message_is_a_wire_error(data):
    with pytest.raises(WireError):
        from_bytes(data)
