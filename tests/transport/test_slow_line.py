"""A gigabyte over a line of 2 Mbit/s that is cut every five minutes, by a clock that jumps."""

import asyncio
import hashlib
import random

import psutil
import torch
from tests.transport.jumping import JumpingLoop

from gossamer.transport.line import Line, Stream
from gossamer.transport.line_messages import CHUNK_BYTES, Hello
from gossamer.wire.frame import Frame, build_frame
from gossamer.wire.limits import Limits

HELLO = Hello(protocols=(1,), release="0.1.0", federation="ab" * 32)
MODEL_BYTES = 10**9
BYTES_PER_S = 2_000_000 / 8
CUT_EVERY_S, AWAY_S = 300.0, 5.0


class VirtualLoop(JumpingLoop):
    """Threads' work is done at once, in no time."""

    def __init__(self):
        super().__init__(look_s=0.0)

    def run_in_executor(self, _executor, function, *arguments):
        done = self.create_future()
        try:
            done.set_result(function(*arguments))
        except OSError as error:
            done.set_exception(error)
        return done


class SlowStream(Stream):
    """One end; what it writes takes its time, and is lost when the line is cut before the last byte is through."""

    def __init__(self, inbox, outbox, cut):
        self._inbox, self._outbox, self._cut = inbox, outbox, cut
        self._one = asyncio.Lock()
        self.carried = 0.0

    async def write(self, data):
        async with self._one:
            began_s = asyncio.get_running_loop().time()
            try:
                async with asyncio.timeout(len(data) / BYTES_PER_S):
                    await self._cut.wait()
            except TimeoutError:
                self.carried += len(data)
                self._outbox.put_nowait(data)
            else:
                self.carried += (asyncio.get_running_loop().time() - began_s) * BYTES_PER_S
                raise ConnectionError("cut")

    async def read(self):
        waits = [asyncio.ensure_future(self._inbox.get()), asyncio.ensure_future(self._cut.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            return waits[0].result() if waits[0].done() else None
        finally:
            for each in waits:
                each.cancel()

    async def close(self):
        self._cut.set()


def slow_pair():
    there, back, cut = asyncio.Queue(), asyncio.Queue(), asyncio.Event()
    return SlowStream(back, there, cut), SlowStream(there, back, cut)


def large_frame(size_bytes=MODEL_BYTES, seed=0):
    """A model of that size that takes 4 MB: the same odd tensor again and again, so that each byte has its place."""
    piece = torch.frombuffer(bytearray(random.Random(seed).randbytes(4_000_003)), dtype=torch.uint8)
    count, rest = divmod(size_bytes, len(piece))
    return Frame(build_frame({"kind": "large"}, {}).header, (piece,) * count + (piece[:rest],))


def room_for(frame):
    return Limits({"model": (torch.uint8, (frame.body_bytes,))}, {})


def test_a_gigabyte_arrives_over_2_mbit_a_second_that_are_cut_every_five_minutes(tmp_path):
    frame = large_frame()
    came, streams, memory = [], [], []

    async def take(_sender, whole):
        came.append(hashlib.sha256(whole[len(frame.header) :]).digest())

    async def run():
        ends = []
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            ends.append(Line(name, HELLO, limits=room_for(frame), folder=tmp_path / name, deliver=take))
        sending = asyncio.create_task(ends[0].send(frame))
        while not sending.done():
            pair = slow_pair()
            streams.append(pair)
            talk = asyncio.gather(*(end.speak(stream) for end, stream in zip(ends, pair, strict=True)))
            await asyncio.wait({sending}, timeout=CUT_EVERY_S)
            memory.append(psutil.Process().memory_info().rss)
            await pair[0].close()
            await asyncio.gather(talk, return_exceptions=True)
            if not sending.done():
                await asyncio.sleep(AWAY_S)
        return asyncio.get_running_loop().time()

    before = psutil.Process().memory_info().rss
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        took_s = runner.run(run())
    cuts = len(streams) - 1
    assert came == [frame.body_sha256]
    assert cuts == 13
    assert MODEL_BYTES / BYTES_PER_S < took_s < MODEL_BYTES / BYTES_PER_S + cuts * (AWAY_S + 6) + 1
    sent = sum(stream.carried for stream, _ in streams)
    assert sent - MODEL_BYTES < (cuts + 1) * CHUNK_BYTES  # at each cut the chunk that was on its way, and small words
    assert max(memory[:-1]) - before < 2**26
    assert list(tmp_path.glob("*/*.part")) == []
