"""Two sites meet in a folder: frames arrive whole, and what breaks goes on where it broke."""

import asyncio
import random
import shutil

import pytest
import torch

from gossamer.wire.frame import build_frame


def test_frames_arrive_whole_at_both_ends_at_once_and_leave_nothing_but_letters(world):
    async def run():
        a, b = world.both()
        async with world.alive(a, b):
            await asyncio.gather(a.send(world.frame(1)), b.send(world.frame(2)))
            assert await a.one() == world.frame(2).to_bytes()
            assert await b.one() == world.frame(1).to_bytes()
            assert a.line.state.is_up
            assert a.line.state.bytes_sent == b.line.state.bytes_received == 4 * world.size + 5 * 16
        assert world.files() == world.letters
        kept = [path.name for path in (world.home / "north").rglob("*") if path.is_file()]
        assert kept == ["letters.json"]
        assert a.refused == b.refused == []

    asyncio.run(run())


def test_small_and_empty_frames_arrive_as_often_as_they_are_sent(world):
    async def run():
        a, b = world.both()
        small = build_frame({}, {"weight": torch.zeros(3)})
        receipt = build_frame({"kind": "receipt"}, {})
        async with world.alive(a, b):
            for frame in (receipt, receipt, small, small):
                await a.send(frame)
                assert await b.one() == frame.to_bytes()

    asyncio.run(run())


def test_a_site_that_is_not_up_yet_is_waited_for(world):
    async def run():
        a, b = world.both()
        async with world.alive(a):
            sending = a.send(world.frame())
            await asyncio.sleep(0.05)
            assert not sending.done()
            async with world.alive(b):
                assert await b.one() == world.frame().to_bytes()
                await sending

    asyncio.run(run())


@pytest.mark.parametrize("restart", [False, True], ids=["same process", "restarted sender"])
def test_a_cut_in_the_middle_of_an_upload_sends_no_part_again(world, restart):
    async def run():
        a, b = world.both()
        put = a.store.writes
        async with world.alive(b):
            async with world.alive(a):
                await world.until(lambda: a.line.state.heard_s)
                a.store.most_parts = 3
                sending = a.send(world.frame(attempt=0))
                await world.until(lambda: a.line.state.trouble)
                assert "network is down" in a.line.state.trouble
                assert len(a.store.parts(put)) == 3
                if restart:
                    a.store.allow(0)
                    await world.stop(sending)
                else:
                    a.store.most_parts = None
                    await sending
            if restart:
                a = world.site("north")
                async with world.alive(a):
                    await a.send(world.frame(attempt=1))  # it counts another attempt; the body is the same
                put = put + a.store.writes
            assert await b.one() == world.frame(attempt=int(restart)).to_bytes()
        parts = a.store.parts(put)
        assert len(parts) == len(set(parts)) == 5
        assert world.files() == world.letters

    asyncio.run(run())


def test_a_cut_in_the_middle_of_a_download_fetches_no_part_again(world):
    async def run():
        a, b = world.both()
        async with world.alive(a):
            async with world.alive(b):
                b.store.most_parts = 3
                sending = a.send(world.frame())
                await world.until(lambda: b.line.state.trouble)  # with the fourth: the third is kept by then
                assert not b.line.state.is_up
            fetched = b.store.parts(b.store.reads)
            assert len(fetched) == 3
            b = world.site("south")
            async with world.alive(b):
                assert await b.one() == world.frame().to_bytes()
                await sending
            fetched += b.store.parts(b.store.reads)
            assert len(fetched) == len(set(fetched)) == 5

    asyncio.run(run())


def test_a_large_body_that_is_half_through_outlives_a_small_one(world):
    async def run():
        a, b = world.both()
        async with world.alive(a, b):
            await world.until(lambda: a.line.state.heard_s)
            a.store.most_parts = 2
            sending = a.send(world.frame())
            await world.until(lambda: a.line.state.trouble)
            await world.stop(sending)
            a.store.most_parts = None
            small = build_frame({}, {"weight": torch.zeros(3)})
            await a.send(small)
            await b.one()
            await a.send(world.frame())
            await b.one()
            parts = a.store.parts(a.store.writes)
            assert len(parts) == len(set(parts)) == 5 + 1

    asyncio.run(run())


@pytest.mark.parametrize("operations", range(0, 60, 3))
def test_wherever_the_folder_goes_away_the_frame_arrives(world, operations):
    async def run():
        a, b = world.both()
        a.store.allow(operations)
        b.store.allow(60 - operations)
        async with world.alive(a, b):
            sending = a.send(world.frame())
            await world.until(lambda: a.line.state.trouble or b.line.state.trouble or sending.done())
            a.store.allow(None)
            b.store.allow(None)
            await sending
            assert await b.one() == world.frame().to_bytes()

    asyncio.run(run())


@pytest.mark.parametrize("calls", range(4))
def test_a_letter_is_not_lost_when_the_folder_goes_away_while_it_is_read(world, calls):
    async def run():
        a = world.site("north")
        async with world.alive(a):
            await world.until(lambda: a.store.writes)
            b = world.site("south")
            b.store.allow(calls)
            async with world.alive(b):
                await world.until(lambda: b.line.state.trouble)
                b.store.allow(None)
                await world.until(lambda: b.line.state.heard_s)

    asyncio.run(run())


@pytest.mark.parametrize("seed", range(5))
def test_power_cuts_at_any_moment_lose_nothing_that_send_returned_for(world, seed):
    async def run():
        chance = random.Random(seed)
        came = []

        async def take(site):
            while True:
                came.append(await site.one())

        sent, patience_s = False, 0.1
        while not sent:
            a, b = world.both()
            async with world.alive(a, b):
                sending, taking = a.send(world.frame(attempt=len(came))), asyncio.create_task(take(b))
                patience_s += 0.02  # it ends, on a slow machine too
                await asyncio.wait({sending}, timeout=chance.uniform(0.01, patience_s))
                sent = sending.done()
                await asyncio.sleep(0)
                for task in (sending, taking):
                    await world.stop(task)
        body = world.frame().to_bytes()[len(world.frame().header) :]
        assert came
        assert all(frame.endswith(body) for frame in came)

    asyncio.run(run())


def test_a_receipt_of_a_process_that_has_stopped_since_does_not_count(world):
    """It took the frame into its memory, said so, and died before this site heard that."""

    async def run():
        a, b = world.both()
        async with world.alive(a):
            async with world.alive(b):
                await world.until(lambda: a.line.state.heard_s)
                b.store.allow(0)
                sending = a.send(world.frame())
                await world.until(lambda: a.has_offered)
                a.store.allow(0)  # deaf
                b.store.allow(None)
                await b.one()
                await world.until(lambda: b.line._letters.taken and not b.line._letters.owes_word)
            b = world.site("south")
            async with world.alive(b):
                await world.until(lambda: b.store.writes)  # its letter lies there; it is owed until just before
                a.store.allow(None)
                assert await b.one() == world.frame().to_bytes()
                await sending
                assert a.restarted == ["south"]
        assert len(a.store.parts(a.store.writes)) == 5  # offered again, not put there again

    asyncio.run(run())


def test_another_process_of_the_peer_is_told_and_the_same_one_is_not(world):
    async def run():
        a, b = world.both()
        async with world.alive(a):
            async with world.alive(b):
                for _ in range(2):
                    await b.send(world.frame())
                    await a.one()
                assert a.restarted == []
            async with world.alive(world.site("south")):
                await world.until(lambda: a.restarted == ["south"])

    asyncio.run(run())


def test_a_site_that_was_set_back_to_a_backup_learns_its_numbers_from_its_peer(world):
    async def run():
        a, b = world.both()
        async with world.alive(a, b):
            for _ in range(3):
                await asyncio.gather(a.send(world.frame()), b.send(world.frame()))
                await asyncio.gather(a.one(), b.one())
        shutil.rmtree(world.home / "north")
        a, b = world.both()
        async with world.alive(a, b):
            await asyncio.gather(a.send(world.frame(1)), b.send(world.frame(2)))
            assert await a.one() == world.frame(2).to_bytes()
            assert await b.one() == world.frame(1).to_bytes()

    asyncio.run(run())


def test_a_folder_that_is_not_there_is_shown_never_made_and_waited_for(world):
    async def run():
        world.shared.rmdir()
        a, b = world.both()
        async with world.alive(a, b):
            sending = a.send(world.frame())
            await world.until(lambda: a.line.state.trouble)
            assert not world.shared.exists()
            assert not a.line.state.is_up
            world.shared.mkdir()
            assert await b.one() == world.frame().to_bytes()
            await sending
            await world.until(lambda: a.line.state.is_up and a.line.state.trouble is None)

    asyncio.run(run())
