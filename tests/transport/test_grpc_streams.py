"""Streams of gRPC calls: what has ended, and what is cancelled while it is under way."""

import asyncio
import gc

import grpc
import pytest

from gossamer.transport.grpc_streams import Answered, Dialled, Operations


class Over:
    """A call that gRPC knows to be over."""

    def cancel(self):
        pass

    async def read(self):
        raise grpc.aio.UsageError("RPC already finished.")

    async def write(self, _data):
        raise grpc.aio.UsageError("RPC already finished.")


class Slow(Over):
    """A call whose operations take until they are let go."""

    def __init__(self):
        self.let_go = asyncio.Event()
        self.ends = []

    async def read(self):
        return await self._wait()

    async def write(self, _data):
        await self._wait()

    async def _wait(self):
        try:
            await self.let_go.wait()
        except asyncio.CancelledError:
            self.ends.append("cancelled")
            raise
        self.ends.append("done")
        return b"late"


@pytest.fixture(params=[Answered, Dialled])
def end(request):
    return request.param


def test_a_call_that_is_over_is_a_stream_that_has_ended_so_the_frame_waits_for_the_next(end):
    async def run():
        stream = end(Over(), Operations())
        with pytest.raises(ConnectionError):
            await stream.read()
        with pytest.raises(ConnectionError):
            await stream.write(b"")

    asyncio.run(run())


@pytest.mark.parametrize("operation", [lambda stream: stream.read(), lambda stream: stream.write(b"chunk")])
def test_whoever_waits_may_be_cancelled_but_the_operation_ends_with_its_call(end, operation):
    """gRPC writes into the operation's memory until then."""

    async def run():
        call, operations = Slow(), Operations()
        waiting = asyncio.create_task(operation(end(call, operations)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert call.ends == []
        ending = asyncio.create_task(operations.end())
        await asyncio.sleep(0)
        assert not ending.done()
        call.let_go.set()
        await ending
        assert call.ends == ["done"]

    asyncio.run(run())


def test_an_operation_that_fails_when_nobody_waits_any_more_is_not_written_to_the_console(end):
    complaints = []

    class Breaks(Slow):
        async def read(self):
            await self._wait()
            raise grpc.aio.UsageError("RPC already finished.")

    async def run():
        # Of this loop alone: tests before may have left tasks that go, and are complained of, just now.
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
        call, operations = Breaks(), Operations()
        waiting = asyncio.create_task(end(call, operations).read())
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        call.let_go.set()
        await operations.end()

    asyncio.run(run())
    gc.collect()  # asyncio complains when the task goes
    assert not complaints
