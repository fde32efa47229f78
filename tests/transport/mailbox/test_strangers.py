"""What strangers do in the folder is told, mended and refused; they learn nothing there."""

import asyncio
import os
import random
import shutil
import stat

import pytest
import torch

from gossamer.transport.boxes import letter_path
from gossamer.transport.stores import LocalStore
from gossamer.wire.frame import build_frame


def flip(path, at=-1):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def become(path, make):
    path.unlink()
    make(path)


SPOIL_A_FILE = {
    "a flipped bit": flip,
    "a flipped bit at its head": lambda path: flip(path, 5),
    "garbage": lambda path: path.write_bytes(random.Random(0).randbytes(path.stat().st_size)),
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "nothing in it": lambda path: path.write_bytes(b""),
    "too long": lambda path: path.write_bytes(path.read_bytes() + bytes(2**20)),
    "a link": lambda path: become(path, lambda _: path.symlink_to("/etc/hostname")),
    "a pipe": lambda path: become(path, os.mkfifo),
}


@pytest.mark.parametrize("how", SPOIL_A_FILE)
def test_a_spoilt_part_is_told_put_there_again_and_ends_nothing(world, how):
    async def run():
        a, b = world.both()
        async with world.alive(a):
            sending = await world.offered(a, b)
            spoilt = sorted(a.store.parts(a.store.writes))[2]
            SPOIL_A_FILE[how](world.shared / spoilt)
            b = world.site("south")
            async with world.alive(b):
                assert await b.one() == world.frame().to_bytes()
                await sending
                assert b.told("part")
        parts = a.store.parts(a.store.writes)
        assert len(set(parts[:5])) == 5
        assert set(parts[5:]) == {spoilt}

    asyncio.run(run())


def test_parts_that_were_swapped_or_removed_are_put_there_again(world):
    async def run():
        a, b = world.both()
        async with world.alive(a):
            sending = await world.offered(a, b)
            first, second, third, fourth, _ = sorted(a.store.parts(a.store.writes))
            one, other = (world.shared / first).read_bytes(), (world.shared / second).read_bytes()
            (world.shared / first).write_bytes(other)
            (world.shared / second).write_bytes(one)
            for path in (third, fourth):
                (world.shared / path).unlink()
            b = world.site("south")
            async with world.alive(b):
                assert await b.one() == world.frame().to_bytes()
                await sending

    asyncio.run(run())


@pytest.mark.parametrize("how", SPOIL_A_FILE)
def test_a_spoilt_letter_is_told_written_again_and_ends_nothing(world, how):
    async def run():
        a, b = world.both()
        async with world.alive(a, b):
            await world.until(lambda: b.line.state.heard_s and a.line.state.heard_s)
        newest = max((world.shared / world.box).iterdir(), key=lambda path: path.stat().st_mtime_ns)
        SPOIL_A_FILE[how](newest)
        b = world.site("south")
        async with world.alive(b):
            await world.until(lambda: b.told("letter"))
            a = world.site("north")
            async with world.alive(a):
                await a.send(world.frame())
                assert await b.one() == world.frame().to_bytes()

    asyncio.run(run())


def test_letters_that_are_removed_while_sites_run_are_written_again(world):
    async def run():
        a, b = world.both()
        async with world.alive(a, b):
            await world.until(lambda: b.line.state.heard_s and a.line.state.heard_s)
            for _ in range(3):
                world.remove(world.shared / world.box)
                world.remove(world.shared / world.back)
                await a.send(world.frame())
                assert await b.one() == world.frame().to_bytes()

    asyncio.run(run())


def test_removing_everything_is_no_receipt(world):
    async def run():
        a, b = world.both()
        async with world.alive(a):
            sending = await world.offered(a, b)
            world.remove(world.shared / world.box)
            world.remove(world.shared / world.back)
            await asyncio.sleep(0.1)
            assert not sending.done()
            b = world.site("south")
            async with world.alive(b):
                assert await b.one() == world.frame().to_bytes()
                await sending

    asyncio.run(run())


@pytest.mark.parametrize("restart", [False, True], ids=["same process", "restarted receiver"])
def test_a_backup_of_the_folder_brings_nothing_back(world, restart):
    """Letters and parts of a frame that was taken, put there again by who could keep them."""

    async def run():
        a, b = world.both()
        async with world.alive(b):
            async with world.alive(a):
                await world.until(lambda: a.line.state.heard_s and b.line.state.heard_s)
                b.store.allow(0)
                sending = a.send(world.frame())
                await world.until(lambda: a.has_offered)
                shutil.copytree(world.shared, world.home / "backup")
                b.store.allow(None)
                await b.one()
                await sending
                for _ in range(2):
                    await a.send(build_frame({"kind": "receipt"}, {}))
                    await b.one()
            if not restart:
                await put_back(b)
        if restart:
            b = world.site("south")
            async with world.alive(b):
                await put_back(b)

    async def put_back(b):
        before = len(b.store.reads)
        world.remove(world.shared)
        (world.home / "backup").rename(world.shared)
        await world.until(lambda: b.told("or a later one", "was put there again"))
        told_after = len(b.store.reads)
        await world.until(lambda: len(b.store.reads) > told_after + 20)
        assert b.store.parts(b.store.reads[before:]) == []
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(b.one(), 0.05)

    asyncio.run(run())


def test_an_old_letter_in_the_newest_ones_place_is_refused(world):
    async def run():
        a, b = world.both()
        async with world.alive(b):
            async with world.alive(a):
                await world.until(lambda: a.line.state.heard_s and b.line.state.heard_s)
                old = {path: path.read_bytes() for path in (world.shared / world.box).glob("letter-?")}
                for _ in range(3):
                    await a.send(world.frame())
                    await b.one()
            for path, content in old.items():
                path.write_bytes(content)
            await world.until(lambda: b.told("or a later one"))

    asyncio.run(run())


def test_the_letter_before_the_newest_one_that_was_heard_is_not_heard_again(world):
    async def run():
        a, b = world.both()
        async with world.alive(a, b):
            await a.send(world.frame())
            await b.one()
            await world.until(lambda: len(list((world.shared / world.box).glob("letter-?"))) == 2)
            await world.until(lambda: b.line._letters._register.heard == a.line._letters._register.said)
        (world.shared / letter_path(world.box, a.line._letters._register.said)).unlink()
        b = world.site("south")
        async with world.alive(b):
            await world.until(lambda: len(b.store.reads) > 10)
            assert b.line.state.heard_s == 0

    asyncio.run(run())


def test_letters_that_were_swapped_are_told_and_written_again(world):
    async def run():
        a, b = world.both()
        async with world.alive(a, b):
            await a.send(world.frame())
            await b.one()
            await world.until(lambda: len(list((world.shared / world.box).glob("letter-?"))) == 2)
        one, other = (world.shared / letter_path(world.box, slot) for slot in (0, 1))
        content = one.read_bytes()
        one.write_bytes(other.read_bytes())
        other.write_bytes(content)
        b = world.site("south")
        async with world.alive(b):
            await world.until(lambda: b.told("belongs to letter-0") and b.told("belongs to letter-1"))
            assert b.line.state.heard_s == 0
            a = world.site("north")
            async with world.alive(a):
                await a.send(world.frame())
                assert await b.one() == world.frame().to_bytes()

    asyncio.run(run())


def test_nothing_in_the_folder_tells_what_is_exchanged_or_by_whom(world):
    """Every file that ever was there: contents, names, and sizes that are those of the seals."""

    async def run():
        seen = {}
        real = LocalStore.write

        def write(store, path, content):
            seen.setdefault(path, []).append(bytes(content))
            real(store, path, content)

        a, b = world.site("north", release="planted-release"), world.site("south")
        tensor = torch.frombuffer(bytearray(b"planted-in-a-tensor " * (world.size // 5)), dtype=torch.uint8)
        frame = build_frame({"site": "planted-name", "kind": "share"}, {"planted-tensor-name": tensor})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(LocalStore, "write", write)
            async with world.alive(a, b):
                await a.send(frame)
                await b.send(frame)
                assert await b.one() == frame.to_bytes()
        tokens = [b"planted", b"hospital", b"north", b"south", b"share", b"attempt", b"weight"]
        tokens += [bytes.fromhex(world.ids[name]) for name in ("north", "south")] + [world.ids["north"].encode()[:16]]
        tokens += [bytes.fromhex(world.federation)[:8], world.federation.encode()[:16], b'"hello"']
        assert len(seen) >= 4
        for path, contents in seen.items():
            for content in (path.encode(), *contents):
                assert not [token for token in tokens if token in content.lower()]

    asyncio.run(run())


def test_what_a_site_keeps_of_its_letters_is_closed_to_others(world):
    async def run():
        a, b = world.both()
        async with world.alive(a, b):
            await world.until(lambda: a.line.state.heard_s)
            a.store.most_parts = 1
            sending = a.send(world.frame())
            await world.until(lambda: a.line.state.trouble)
            await world.stop(sending)
        kept = list((world.home / "north").rglob("*.json"))
        assert len(kept) == 2
        assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in kept)

    asyncio.run(run())
