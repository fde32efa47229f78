"""Sites that do not fit, frames beyond the limits, and letters of who must not write them."""

import asyncio
import shutil

import pytest
import torch

from gossamer.transport.boxes import Folder, box_of, letter_path, part_path
from gossamer.transport.correspondence import Correspondence
from gossamer.transport.letters import Offer
from gossamer.transport.line import MAX_UNSOUND
from gossamer.transport.line_messages import Hello
from gossamer.transport.sealing import BodySeal, Route
from gossamer.transport.stores import LocalStore
from gossamer.wire.frame import build_frame
from gossamer.wire.limits import Limits


@pytest.mark.parametrize(
    ("hello", "words"),
    [
        ({"federation": "cd" * 32}, ("GOS-518", "same federation file")),
        ({"protocols": (2,)}, ("GOS-519", "common protocol")),
    ],
    ids=["federation", "protocol"],
)
def test_sites_that_do_not_fit_say_so_at_both_ends(world, hello, words):
    async def run():
        a, b = world.site("north"), world.site("south", **hello)
        async with world.alive(a, b):
            sending = a.send(world.frame())
            await world.until(lambda: a.told(*words) and b.told(*words))
            assert (a.line.state.refusal.code, words[1] in str(a.line.state.refusal)) == (words[0], True)
            assert a.store.parts(a.store.writes) == []
            await world.stop(sending)

    asyncio.run(run())


def test_a_frame_beyond_the_limits_is_refused_at_both_ends_until_they_are_known_to_be_wider(world, monkeypatch):
    world.set_part_bytes(monkeypatch, 2**22)

    async def run():
        a, b = world.site("north"), world.site("south", limits=Limits({}, {}))
        long = build_frame({}, {"weight": torch.zeros(world.limits.frame_bytes // 4 + 2**20)})
        async with world.alive(a, b):
            sending = a.send(long)
            await world.until(lambda: b.told("length") and "length" in str(a.line.state.refusal))
            assert b.store.parts(b.store.reads) == []
            b.transport.expect(Limits({"weight": (torch.float32, (world.limits.frame_bytes // 4 + 2**20,))}, {}))
            assert len(await b.one()) == long.size_bytes
            await sending
            await world.until(lambda: a.line.state.refusal is None)

    asyncio.run(run())


WRITERS = {
    "an outsider's": ("outsider", "south"),
    "the peer's to somebody else": ("north", "outsider"),
    "this site's own": ("south", "north"),
}


@pytest.mark.parametrize("whose", WRITERS)
def test_a_letter_of_anybody_else_is_refused(world, whose):
    async def run():
        a, b = world.both()
        async with world.alive(a, b):
            await world.until(lambda: a.line.state.heard_s and b.line.state.heard_s)
        writer, reader = WRITERS[whose]
        elsewhere = world.home / "elsewhere"
        elsewhere.mkdir()
        written = await a_letter(world, writer, reader, root=elsewhere)
        for slot in (0, 1):
            shutil.copy(written, world.shared / letter_path(world.box, slot))
        b = world.site("south")
        async with world.alive(b):
            await world.until(lambda: b.told("signature"))
            assert b.line.state.heard_s == 0
            a = world.site("north")
            async with world.alive(a):
                await a.send(world.frame())
                assert await b.one() == world.frame().to_bytes()

    asyncio.run(run())


async def a_letter(world, writer, reader, *, root=None, offer=None):
    """Write a letter by hand, as who has the key can; returns its file."""
    root = root or world.shared
    mailbox = Folder(lambda: LocalStore(root))
    by_hand = world.home / "by hand"
    by_hand.mkdir()
    letters = Correspondence(
        world.identities[writer],
        world.identities[reader].certificate,
        folder=by_hand,
        reading=mailbox,
        writing=mailbox,
        refuse=print,
    )
    hello = Hello(protocols=(1,), release="0.1.0", federation=world.federation)
    await letters.say(hello, None, offer, bytes(8) if offer else b"")
    mailbox.close()
    return root / letter_path(box_of(world.ids[writer], world.ids[reader]), 1)


def test_a_peer_that_lies_about_a_body_is_refused_and_told_so(world):
    async def run():
        size, claimed = 2 * world.part_bytes, bytes(32)
        offer = Offer(token="11" * 16, secret="22" * 32, sha256=claimed.hex(), body_bytes=size)
        route = Route(world.federation, world.ids["north"], world.ids["south"])
        seal = BodySeal(route, b"\x22" * 32, claimed, size)
        for index in range(2):
            sealed = seal.seal(index, bytes(world.part_bytes))
            LocalStore(world.shared).write(part_path(world.box, seal.name, index), sealed)
        await a_letter(world, "north", "south", offer=offer)
        b = world.site("south")
        async with world.alive(b):
            await world.until(lambda: b.told("sha256"))
            reads = len(b.store.parts(b.store.reads))
            assert reads == 2 * MAX_UNSOUND
            await asyncio.sleep(0.1)
            assert len(b.store.parts(b.store.reads)) == reads
            assert b.transport._inbox.empty()

    asyncio.run(run())


def test_an_endless_offer_is_refused_before_anything_is_fetched(world):
    async def run():
        offer = Offer(token="11" * 16, secret="22" * 32, sha256="00" * 32, body_bytes=2**62)
        await a_letter(world, "north", "south", offer=offer)
        b = world.site("south")
        async with world.alive(b):
            await world.until(lambda: b.told("length"))
            assert b.store.parts(b.store.reads) == []
            assert not list((world.home / "south").rglob("*.large"))

    asyncio.run(run())
