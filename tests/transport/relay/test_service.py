"""The relay alone: who gets in, who is joined with whom, and that every wait and every store has an end."""

import asyncio

import pytest
from tests.transport.jumping import run_in_no_time

from gossamer.transport import relay_service
from gossamer.transport.relay_service import MOST_PLACES
from gossamer.transport.relay_words import KNOCK_BYTES, Purpose, Word

TOKEN, OTHER_TOKEN = b"t" * 32, b"u" * 32


async def is_hung_up(guest):
    async with asyncio.timeout(60):
        try:
            return await guest.reader.read(1) == b""
        except ConnectionResetError:
            return True


async def joined(enter, port, token=TOKEN):
    guests = [await enter(port, side, token) for side in (0, 1)]
    assert [await guest.word() for guest in guests] == [Word.JOINED] * 2
    return guests


def test_two_sides_of_a_token_are_joined_and_hear_each_other_alone(world):
    async def run():
        async with world.relay() as at:
            one, other = await joined(world.enter, at.port)
            third, fourth = await joined(world.enter, at.port, OTHER_TOKEN)
            one.writer.write(b"to the other")
            fourth.writer.write(b"to the third")
            assert await other.reader.readexactly(12) == b"to the other"
            assert await third.reader.readexactly(12) == b"to the third"
            other.writer.write(b"back")
            assert await one.reader.readexactly(4) == b"back"
            one.writer.write(b"last")
            one.writer.close()
            assert await other.reader.read() == b"last"

    asyncio.run(run())


@pytest.mark.parametrize(("sides", "tokens"), [((0, 0), (TOKEN, TOKEN)), ((0, 1), (TOKEN, OTHER_TOKEN))])
def test_nobody_is_joined_with_another_side_or_token_than_theirs(world, sides, tokens):
    async def run():
        async with world.relay(wait_s=0.3) as at:
            one, other = [await world.enter(at.port, side, token) for side, token in zip(sides, tokens, strict=True)]
            assert Word.JOINED not in (await one.word(), await other.word())

    asyncio.run(run())


def test_a_slow_pair_gets_no_more_at_once_than_a_second_s_worth(world):
    """What is passed on at once is waited out afterwards; were that long, the pair would be parted as an idle one."""

    async def run():
        async with world.relay(bytes_per_s=100.0, idle_s=10.0) as at:
            one, other = await joined(world.enter, at.port)
            one.writer.write(bytes(1_500))
            return await other.reader.readexactly(1_500)

    assert run_in_no_time(run()) == bytes(1_500)


def test_whoever_lacks_the_secret_is_turned_away_and_the_owner_told_once(world):
    async def run():
        async with world.relay() as at:
            for _ in range(3):
                guest = await world.enter(at.port, 0, secret=b"another secret, drawn at random as well")
                assert await guest.word() is Word.NOT_ADMITTED
                assert await is_hung_up(guest)
            assert at.guests == (0, 0)
            assert at.said == ["turned a caller without admission away, from 127.0.0.1"]

    asyncio.run(run())


def test_an_overheard_proof_lets_nobody_in(world):
    from gossamer.transport.relay_words import knock

    async def run():
        async with world.relay() as at:
            _, nonce = await world.call(at.port)
            overheard = knock(world.secret, nonce, Purpose.MEET, 0, TOKEN).to_bytes()
            thief, _another_nonce = await world.call(at.port)
            thief.writer.write(overheard)
            assert await thief.word() is Word.NOT_ADMITTED

    asyncio.run(run())


@pytest.mark.parametrize("says", [b"GET / HTTP/1.1\r\n\r\n" * 9, b"\x16\x03\x01" * 40, b"M\x02" + b"t" * 64, b"M"])
def test_what_is_no_knock_is_not_let_in_and_does_not_stay(world, says):
    async def run():
        async with world.relay(knock_s=0.3) as at:
            guest, _ = await world.call(at.port)
            guest.writer.write(says)
            assert await guest.word() in (Word.NOT_ADMITTED, None)
            assert at.guests == (0, 0)

    asyncio.run(run())


def test_each_of_several_federations_has_a_secret_of_its_own(world):
    admitted = {"one": b"1" * 40, "other": b"2" * 40}

    async def run():
        async with world.relay(admitted=admitted) as at:
            guests = [await world.enter(at.port, side, secret=b"2" * 40) for side in (0, 1)]
            assert [await guest.word() for guest in guests] == [Word.JOINED] * 2
            assert at.said == ["joined pair 1 (other); 1 pairs joined, 0 guests waiting"]

    asyncio.run(run())


def test_asking_tells_whether_the_peer_is_there_and_changes_nothing(world):
    async def ask(port):
        return await (await world.enter(port, 0, purpose=Purpose.ASK)).word()

    async def run():
        async with world.relay() as at:
            assert await ask(at.port) is Word.ALONE
            peer = await world.enter(at.port, 1)
            assert await peer.next_word() is Word.WAIT
            assert await ask(at.port) is Word.THERE
            assert at.guests == (1, 0)
            one = await world.enter(at.port, 0)
            assert await peer.word() is await one.word() is Word.JOINED
            assert await ask(at.port) is Word.THERE
            assert at.guests == (0, 1)

    asyncio.run(run())


# Every wait ends


def test_a_caller_that_says_nothing_is_dropped_after_its_time(world):
    async def run():
        async with world.relay(knock_s=0.2) as at:
            guest, _ = await world.call(at.port)
            assert await is_hung_up(guest)

    asyncio.run(run())


def test_a_half_open_guest_that_waits_is_dropped_after_its_time(world):
    """It is there for the relay, and never answers anything: its machine lost its power."""

    async def run():
        async with world.relay(wait_s=0.3) as at:
            guest = await world.enter(at.port, 0)
            await world.until(lambda: at.guests == (1, 0))
            assert await guest.word() is Word.LATE
            assert await is_hung_up(guest)
            assert at.guests == (0, 0)

    asyncio.run(run())


def test_a_guest_that_hangs_up_does_not_wait_any_longer(world):
    async def run():
        async with world.relay() as at:
            guest = await world.enter(at.port, 0)
            await world.until(lambda: at.guests == (1, 0))
            guest.close()
            await world.until(lambda: at.guests == (0, 0))

    asyncio.run(run())


def test_a_guest_hears_now_and_then_that_it_waits(world, monkeypatch):
    monkeypatch.setattr(relay_service, "HEARTBEAT_S", 0.05)

    async def run():
        async with world.relay() as at:
            guest = await world.enter(at.port, 0)
            assert await guest.reader.readexactly(5) == 5 * Word.WAIT.value
            other = await world.enter(at.port, 1)
            assert await guest.word() is await other.word() is Word.JOINED

    asyncio.run(run())


def test_a_pair_that_says_nothing_is_parted(world):
    async def run():
        async with world.relay(idle_s=30.0) as at:
            one, other = await joined(world.enter, at.port)
            for _ in range(4):
                one.writer.write(b"still here")
                assert await other.reader.readexactly(10) == b"still here"
                await asyncio.sleep(15.0)
            assert await is_hung_up(one)
            assert await is_hung_up(other)
            assert at.guests == (0, 0)

    run_in_no_time(run())


# The newer connection of an end counts


def test_a_site_that_comes_back_takes_the_place_in_which_its_old_connection_waits(world):
    async def run():
        async with world.relay() as at:
            older = await world.enter(at.port, 0)
            await older.next_word()
            newer = await world.enter(at.port, 0)
            assert await older.word() is Word.REPLACED
            other = await world.enter(at.port, 1)
            assert await newer.word() is await other.word() is Word.JOINED

    asyncio.run(run())


def test_a_site_that_comes_back_ends_its_old_pair_so_that_the_peer_comes_too(world):
    async def run():
        async with world.relay() as at:
            older, other = await joined(world.enter, at.port)
            newer = await world.enter(at.port, 0)
            assert await is_hung_up(other)
            assert await is_hung_up(older)
            again = await world.enter(at.port, 1)
            assert await newer.word() is await again.word() is Word.JOINED

    asyncio.run(run())


# Bounds


def test_more_guests_than_there_is_room_for_are_told_so(world):
    async def run():
        async with world.relay(waiting=2, pairs=1) as at:
            waiting = [await world.enter(at.port, 0, bytes([n]) * 32) for n in range(2)]
            await world.until(lambda: at.guests == (2, 0))
            assert await (await world.enter(at.port, 0, b"x" * 32)).word() is Word.FULL
            partner = await world.enter(at.port, 1, bytes([0]) * 32)
            assert await waiting[0].word() is await partner.word() is Word.JOINED
            assert await (await world.enter(at.port, 1, bytes([1]) * 32)).word() is Word.FULL
            assert at.guests == (1, 1)

    asyncio.run(run())


def test_strangers_beyond_their_number_are_hung_up_on_and_members_get_in_when_they_have_gone(world):
    async def run():
        async with world.relay(strangers=3) as at:
            strangers = [(await world.call(at.port))[0] for _ in range(3)]
            with pytest.raises(asyncio.IncompleteReadError):
                await world.call(at.port)
            for stranger in strangers:
                assert await is_hung_up(stranger)
            assert await (await world.enter(at.port, 0)).next_word() is Word.WAIT

    run_in_no_time(run())


def test_an_end_that_knocks_too_often_waits_a_minute_and_others_do_not(world):
    async def run():
        async with world.relay(knocks_per_minute=3) as at:
            words = [await (await world.enter(at.port, 0, purpose=Purpose.ASK)).word() for _ in range(5)]
            assert words == [Word.ALONE] * 3 + [Word.OFTEN] * 2
            assert await (await world.enter(at.port, 1, purpose=Purpose.ASK)).word() is Word.ALONE

    asyncio.run(run())


def test_invented_tokens_take_no_memory_without_end(world, monkeypatch):
    monkeypatch.setattr(relay_service, "MOST_PLACES", 3)
    assert MOST_PLACES * (32 + 1 + 8 * 30) < 2**21

    async def run():
        async with world.relay() as at:
            words = [
                await (await world.enter(at.port, 0, bytes([n]) * 32, purpose=Purpose.ASK)).word() for n in range(5)
            ]
            assert words == [Word.ALONE] * 3 + [Word.OFTEN] * 2

    asyncio.run(run())


def test_a_pair_goes_no_faster_than_it_may(world):
    async def run():
        async with world.relay(bytes_per_s=1e6) as at:
            one, other = await joined(world.enter, at.port)
            began = asyncio.get_running_loop().time()
            one.writer.write(bytes(600_000))
            await other.reader.readexactly(600_000)
            # The last piece, of 64 KiB at most, is on its way before it is waited for.
            assert asyncio.get_running_loop().time() - began > 0.5

    asyncio.run(run())


@pytest.fixture
def held():
    """How many bytes relay and sockets keep of a sender whose receiver takes nothing."""

    async def flood(one):
        sent = 0
        try:
            while sent < 2**28:
                one.writer.write(bytes(2**16))
                sent += 2**16
                async with asyncio.timeout(0.5):
                    await one.writer.drain()
        except TimeoutError:
            pass
        return sent

    return flood


def test_a_slow_side_makes_the_other_wait_and_nothing_grows(world, held):
    async def run():
        async with world.relay() as at:
            one, other = await joined(world.enter, at.port)
            async with asyncio.timeout(60):
                while await held(one) > 2**16:  # the sockets still took some
                    pass
            [passage] = set(at._passages.values())
            ends = passage.ends
            in_hand = sum(len(each.reader._buffer) + each.writer.transport.get_write_buffer_size() for each in ends)
            assert in_hand < 2**19
            other.close()
            assert await is_hung_up(one)

    asyncio.run(run())


def test_a_knock_has_its_length():
    from gossamer.transport.relay_words import knock, knock_from_bytes

    asked = knock(b"s", b"n" * 32, Purpose.MEET, 1, TOKEN)
    assert len(asked.to_bytes()) == KNOCK_BYTES
    assert knock_from_bytes(asked.to_bytes()) == asked
