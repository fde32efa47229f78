"""A signal ends the work whatever task is at work, after it has put away what it had open."""

import asyncio
import os
import signal
import threading

import pytest

from gossamer.cli.stopping import run_until_stopped


class Stopped(BaseException):
    pass


@pytest.fixture
def handler(monkeypatch):
    def stop(number, _frame):
        raise Stopped(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    yield stop
    for number, each in before.items():
        signal.signal(number, each)


async def busy_beside(put_away):
    """A task that is at work nearly always: an exception out of a handler would end it, and nothing else."""

    async def spin():
        while True:
            sum(range(2000))
            await asyncio.sleep(0)

    spinning = asyncio.create_task(spin())
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(60):
            await asyncio.Event().wait()
    finally:
        spinning.cancel()
        await asyncio.sleep(0)
        put_away.append(True)


def test_a_signal_cancels_the_work_and_then_ends_the_command(handler):
    put_away = []
    with pytest.raises(Stopped) as stopped:
        run_until_stopped(busy_beside(put_away))
    assert stopped.value.args == (signal.SIGTERM,)
    assert put_away == [True]
    assert signal.getsignal(signal.SIGTERM) is handler


async def answer():
    return 42


def test_work_that_ends_by_itself_gives_its_result_in_any_thread(handler):
    found = [run_until_stopped(answer())]
    thread = threading.Thread(target=lambda: found.append(run_until_stopped(answer())))
    thread.start()
    thread.join()
    assert found == [42, 42]


def test_an_error_of_the_work_is_its_own():
    async def fail():
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        run_until_stopped(fail())


def test_work_that_cancels_itself_is_not_taken_for_a_signal():
    async def give_up():
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        run_until_stopped(give_up())
