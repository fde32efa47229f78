"""What sites tell each other once: signed, kept, passed on."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from gossamer.errors import NoticeError, StorageError
from gossamer.runtime.board import Board
from gossamer.transport.base import Transport
from gossamer.transport.identity import new_identity
from gossamer.wire.codec import decode, encode
from gossamer.wire.limits import Limits

FEDERATION = "f" * 64
SITES = ("A", "B", "C")
IDENTITIES = {name: new_identity(name) for name in SITES}


class Wires(Transport):
    """Lines of one site to boards in the same process; those in ``cut`` wait for ever."""

    def __init__(self, me, boards):
        super().__init__()
        self.me, self.boards, self.cut, self.sent = me, boards, set(), []

    @property
    def states(self):
        raise NotImplementedError

    async def start(self):
        raise NotImplementedError

    async def send(self, to, frame):
        while to in self.cut:
            await asyncio.sleep(0.005)
        self.sent.append(to)
        await self.boards[to].take(self.me, decode(frame.to_bytes(), Limits({}, {})))

    def receive(self):
        raise NotImplementedError

    def expect(self, limits):
        raise NotImplementedError

    async def close(self):
        pass


@asynccontextmanager
async def boards_of(folder, sites=SITES):
    """Boards that hear each other."""
    boards = {}
    for name in sites:
        boards[name] = board_of(name, folder, Wires(name, boards))
    try:
        yield boards
    finally:
        for board in boards.values():
            await board.close()


def board_of(name, folder, transport, **more):
    members = {site: identity.certificate for site, identity in IDENTITIES.items()}
    own = {"federation": FEDERATION, "folder": folder / name, "transport": transport}
    return Board(name, IDENTITIES[name], members, **own, **more)


def within(coroutine, seconds=60):
    async def run():
        async with asyncio.timeout(seconds):
            return await coroutine

    return asyncio.run(run())


def test_everyone_hears_what_each_has_said(tmp_path):
    async def run():
        async with boards_of(tmp_path) as boards:
            for name, board in boards.items():
                await board.post("join", name.encode())
            return [await board.everyone("join") for board in boards.values()]

    assert within(run()) == [{"A": b"A", "B": b"B", "C": b"C"}] * 3


def test_a_notice_reaches_a_site_that_its_author_does_not(tmp_path):
    async def run():
        async with boards_of(tmp_path) as boards:
            boards["A"]._transport.cut.add("C")
            await boards["A"].post("join", b"hello")
            while "A" in boards["C"].missing("join"):
                await asyncio.sleep(0.005)
            return boards["C"].said("join")

    assert within(run()) == {"A": b"hello"}


def test_a_site_that_was_away_is_told_when_it_is_back(tmp_path):
    async def run():
        async with boards_of(tmp_path) as boards:
            for each in ("A", "B"):
                boards[each]._transport.cut.add("C")
            await boards["A"].post("join", b"hello")
            while "A" in boards["B"].missing("join"):
                await asyncio.sleep(0.005)
            assert boards["C"].said("join") == {}
            boards["B"]._transport.cut.clear()
            await boards["B"].told()
            return boards["C"].said("join")

    assert within(run()) == {"A": b"hello"}


def test_a_restart_says_the_same_whatever_it_would_say_now(tmp_path):
    async def run():
        async with boards_of(tmp_path, ("A",)) as boards:
            await boards["A"].post("join", b"before")
        async with boards_of(tmp_path) as boards:
            await boards["A"].post("join", b"after")
            boards["A"].tell_everyone()
            await boards["A"].told()
            return boards["B"].said("join")

    assert within(run()) == {"A": b"before"}


def test_a_peer_that_lost_its_memory_is_told_all_again(tmp_path):
    async def run():
        async with boards_of(tmp_path) as boards:
            await boards["A"].post("join", b"hello")
            await boards["A"].told()
            before = boards["A"]._transport.sent.count("B")
            boards["A"].tell("B")
            await boards["A"].told()
            return boards["A"]._transport.sent.count("B") - before

    assert within(run()) == 1


def taken(tmp_path, change):
    """What becomes of A's notice when B passes on a changed one."""

    async def run():
        async with boards_of(tmp_path) as boards:
            boards["A"]._transport.cut.update("BC")
            await boards["A"].post("join", b"hello")
            [notice] = boards["A"].notices("join").values()
            await boards["C"].take("B", change(notice))
            return boards["C"].said("join")

    return within(run())


def test_a_notice_that_is_passed_on_unchanged_is_taken(tmp_path):
    assert taken(tmp_path, lambda notice: notice) == {"A": b"hello"}


@pytest.mark.parametrize(
    "change",
    [
        lambda notice: replace(notice, content=b"other"),
        lambda notice: replace(notice, topic="plan"),
        lambda notice: replace(notice, author="B"),
        lambda notice: replace(notice, author="X"),
        lambda notice: replace(notice, federation="0" * 64),
        lambda notice: replace(notice, signature=notice.signature[:-1]),
        lambda notice: replace(notice, signature=b"\0"),
    ],
    ids=["content", "topic", "author", "stranger", "federation", "cut signature", "no signature"],
)
def test_a_notice_that_its_author_did_not_sign_is_refused(tmp_path, change):
    with pytest.raises(NoticeError):
        taken(tmp_path, change)


def test_a_notice_that_two_pass_on_at_once_is_new_once(tmp_path):
    async def run():
        heard = []
        async with boards_of(tmp_path) as boards:
            boards["A"]._transport.cut.update("BC")
            await boards["A"].post("join", b"hello")
            [notice] = boards["A"].notices("join").values()
            boards["C"]._on_notice = lambda author, topic: heard.append(author)
            await asyncio.gather(boards["C"].take("A", notice), boards["C"].take("B", notice))
        return heard

    assert within(run()) == ["A"]


def test_a_notice_that_nobody_could_read_is_not_kept(tmp_path):
    def refuse(author, topic, content):
        raise NoticeError(f"{author} {topic} {content}")

    async def run():
        async with boards_of(tmp_path) as boards:
            boards["A"]._transport.cut.update("BC")
            await boards["A"].post("join", b"hello")
            [notice] = boards["A"].notices("join").values()
            careful = board_of("C", tmp_path / "careful", Wires("C", boards), require_readable=refuse)
            with pytest.raises(NoticeError, match="A join b'hello'"):
                await careful.take("B", notice)
            return careful.said("join")

    assert within(run()) == {}
    assert list((tmp_path / "careful/C").iterdir()) == []


def test_a_site_with_two_words_is_held_to_its_first(tmp_path):
    async def run():
        async with boards_of(tmp_path / "one") as boards, boards_of(tmp_path / "backup") as restored:
            await boards["A"].post("join", b"first")
            await boards["A"].told()
            await restored["A"].post("join", b"second")
            [second] = restored["A"].notices("join").values()
            with pytest.raises(NoticeError, match="two that it signed"):
                await boards["C"].take("A", second)
            return boards["C"].said("join")

    assert within(run()) == {"A": b"first"}


def test_a_damaged_notice_on_the_disk_is_named(tmp_path):
    async def run():
        async with boards_of(tmp_path) as boards:
            await boards["A"].post("join", b"hello")

    within(run())
    [file] = (tmp_path / "A").glob("join-*")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(StorageError, match="join-"):
        within(board_opened(tmp_path))


async def board_opened(folder):
    return board_of("A", folder, Wires("A", {}))


def test_a_notice_survives_the_wire(tmp_path):
    async def run():
        async with boards_of(tmp_path, ("A",)) as boards:
            await boards["A"].post("join", bytes(range(256)))
            return next(iter(boards["A"].notices("join").values()))

    notice = within(run())
    assert decode(encode(notice).to_bytes(), Limits({}, {})) == notice
