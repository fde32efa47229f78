"""What ends the work ends the waiting beside it; and the work ends with the block."""

import asyncio

import pytest

from gossamer.errors import StorageError
from gossamer.runtime.beside import beside, during, during_at_most, to_the_end


async def fails():
    raise StorageError("the disk")


async def goes_on():
    await asyncio.Event().wait()


async def gives(value):
    await asyncio.sleep(0)
    return value


def test_what_comes_first_is_given():
    async def run():
        async with beside(goes_on()) as work:
            return await during(work, gives(3)), await during_at_most(60.0, work, gives(None))

    assert asyncio.run(run()) == (3, None)


@pytest.mark.parametrize("wait", [during, lambda work, wanted: during_at_most(60.0, work, wanted)])
def test_what_the_work_fails_with_ends_the_waiting(wait):
    async def run():
        async with beside(fails()) as work:
            await wait(work, goes_on())

    with pytest.raises(StorageError, match="the disk"):
        asyncio.run(run())


def test_what_does_not_come_in_time_is_given_up():
    async def run():
        wanted = asyncio.ensure_future(goes_on())
        async with beside(goes_on()) as work:
            found = await during_at_most(0.0, work, wanted)
        await asyncio.wait({wanted})
        return found, wanted.cancelled(), work.cancelled()

    assert asyncio.run(run()) == (None, True, True)


def test_what_is_done_to_the_end_is_done_though_its_task_is_cancelled_twice():
    async def run():
        did, go_on = [], asyncio.Event()

        async def close():
            did.append("begun")
            await go_on.wait()
            did.append("done")

        closing = asyncio.create_task(to_the_end(close()))
        for _ in range(2):
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            closing.cancel()
        await asyncio.sleep(0)
        assert not closing.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await closing
        return did

    assert asyncio.run(run()) == ["begun", "done"]


def test_what_is_done_to_the_end_fails_with_its_own_error():
    with pytest.raises(StorageError, match="the disk"):
        asyncio.run(to_the_end(fails()))
