"""Sites that only dial out, through a relay: what is carried, what goes on where it broke, and what the relay sees."""

import asyncio
import errno
from datetime import UTC, datetime, timedelta

import pytest
import torch
from faults.ports import own_port
from tests.transport.jumping import run_in_no_time

from gossamer.errors import DiskFullError
from gossamer.transport import relay_service, relay_stream
from gossamer.transport.identity import new_tls_certificate, tls_name
from gossamer.transport.line_messages import CHUNK_BYTES, Hello
from gossamer.transport.relay_limits import DEFAULT_LIMITS
from gossamer.transport.relay_pair import pair_of
from gossamer.wire.frame import build_frame

PLANTED = "PHI-Mueller-Anna-19480307"


def up(*sites):
    return lambda: all(state.is_up for site in sites for state in site.states.values())


def test_two_sites_give_and_take_on_one_stream(world, tmp_path):
    async def run():
        async with world.relay() as at:
            a, b = world.site("a", tmp_path, at.port), world.site("b", tmp_path, at.port)
            async with world.working(a, b):
                await asyncio.gather(
                    a.transport.send("b", world.frame), b.transport.send("a", world.frame), a.one(), b.one()
                )
                sending = asyncio.create_task(a.transport.send("b", world.frame))
                assert await b.one() == ("a", world.frame.to_bytes())
                await sending
                assert [state.streams for each in (a, b) for state in each.states.values()] == [1, 1]
                assert (a.refused, b.refused) == ([], [])

    asyncio.run(run())


def test_each_pair_of_three_sites_meets(world, tmp_path):
    async def run():
        async with world.relay() as at:
            sites = [world.site(name, tmp_path, at.port, peers="abc") for name in "abc"]
            async with world.working(*sites):
                await world.until(up(*sites))
                assert at.guests == (0, 3)

    asyncio.run(run())


def test_the_one_that_comes_first_waits_for_the_other(world, tmp_path, monkeypatch):
    monkeypatch.setattr(relay_service, "HEARTBEAT_S", 0.05)

    async def run():
        async with world.relay(wait_s=0.2, knocks_per_minute=10_000) as at:
            a, b = world.site("a", tmp_path, at.port), world.site("b", tmp_path, at.port)
            async with world.working(a):
                sending = asyncio.create_task(a.transport.send("b", world.frame))
                await world.until(lambda: at.guests == (1, 0))
                [knocks] = at._knocks.values()
                await world.until(lambda: len(knocks) > 3)  # it waits, is sent away as all are, and comes again
                assert not a.states["b"].is_up
                assert (a.refused, a.states["b"].refusal) == ([], None)
                async with world.working(b):
                    assert await b.one() == ("a", world.frame.to_bytes())
                    await sending

    asyncio.run(run())


def test_a_hand_over_that_the_relay_s_restart_broke_goes_on_where_it_broke(world, tmp_path):
    async def run():
        async with world.relay(port=own_port(), bytes_per_s=8e6) as at:
            a, b = world.site("a", tmp_path, at.port), world.site("b", tmp_path, at.port)
            await a.transport.start()
            await b.transport.start()
            sending = asyncio.create_task(a.transport.send("b", world.frame))
            await world.until(lambda: b.states["a"].bytes_received >= 3 * CHUNK_BYTES)
        await world.until(lambda: not a.states["b"].is_up and not b.states["a"].is_up)
        half = b.states["a"].bytes_received
        await world.until(lambda: "found" in str(a.states["b"].refusal))
        assert "the relay at 127.0.0.1" in str(a.states["b"].refusal)
        assert half < world.frame.body_bytes
        async with world.relay(port=at.port):
            assert await b.one() == ("a", world.frame.to_bytes())
            await sending
            assert b.states["a"].bytes_received == world.frame.body_bytes  # no byte twice
            assert b.states["a"].streams == 2
            assert a.states["b"].refusal is None
            assert (a.refused, b.refused) == ([], [])
            await a.transport.close()
            await b.transport.close()

    asyncio.run(run())


def test_a_site_that_starts_again_is_found_and_gets_what_waited(world, tmp_path):
    async def run():
        async with world.relay() as at:
            a, b = world.site("a", tmp_path, at.port), world.site("b", tmp_path, at.port)
            said = world.hello.model_dump(exclude={"life"})  # each process draws its own
            started = []
            a.transport.on_peer_started = started.append
            async with world.working(a):
                async with world.working(b):
                    await world.until(up(a, b))
                await world.until(lambda: not a.states["b"].is_up)
                sending = asyncio.create_task(a.transport.send("b", world.frame))
                again = world.site("b", tmp_path, at.port, hello=Hello(**said))
                async with world.working(again):
                    assert await again.one() == ("a", world.frame.to_bytes())
                    await sending
                    assert started == ["b"]

    asyncio.run(run())


# What the relay sees


def test_nothing_that_sites_say_or_are_called_is_seen_on_the_wire(world, tmp_path):
    """All bytes at the relay's door, both ways, those of the handshakes included."""
    numbers = torch.frombuffer(bytearray(PLANTED.encode() * 40), dtype=torch.uint8)
    planted = build_frame({"patient": PLANTED}, {PLANTED: numbers})

    async def run():
        async with world.relay() as at, world.tap(at.port) as wire:
            a, b = world.site("a", tmp_path, wire.port), world.site("b", tmp_path, wire.port)
            a.transport.lines["b"].limits = b.transport.lines["a"].limits = Wide()
            async with world.working(a, b):
                sending = asyncio.create_task(a.transport.send("b", planted))
                assert PLANTED.encode() in (await b.one())[1]
                await sending
            return bytes(wire.seen), at.said

    seen, said = asyncio.run(run())
    pair = pair_of(world.identities["a"], world.identities["b"].certificate, world.hello.federation)
    assert pair.token in seen  # the tap sees what there is to see
    hidden = [PLANTED, "Klinikum", "gossamer.Line", world.hello.federation, world.hello.release, world.hello.life]
    for each in (world.identities["a"], world.identities["b"]):
        hidden += [each.site_id, tls_name(each.site_id), each.site_id[:16]]
    for words in hidden:
        assert words.encode() not in seen, words
    for each in (world.identities["a"], world.identities["b"]):
        assert bytes.fromhex(each.site_id) not in seen
    assert bytes.fromhex(world.hello.federation) not in seen
    assert world.secret not in seen
    assert pair.key not in seen
    assert not any(word in " ".join(said) for word in (*hidden, pair.token.hex()))


class Wide:
    """Limits of frames of any kind."""

    header_bytes = 10_000
    frame_bytes = 10_000


# Who is at the other end


@pytest.mark.parametrize("name", "ab")
def test_a_site_whose_certificate_is_not_valid_is_refused_and_both_know_why(world, tmp_path, name):
    """Once as TLS' server and once as its client, whichever the ids make it."""

    async def run():
        long_ago = datetime.now(UTC) - timedelta(days=100)
        expired = new_tls_certificate(world.identities[name], long_ago)
        async with world.relay() as at:
            sites = {each: world.site(each, tmp_path, at.port, tls=expired if each == name else None) for each in "ab"}
            well = sites["b" if name == "a" else "a"]
            async with world.working(*sites.values()):
                await world.until(lambda: all(each.refused for each in sites.values()))
                assert not any(state.streams for each in sites.values() for state in each.states.values())
            assert "certificate has expired" in well.refused[0][1]
            assert "this site's certificate is refused (certificate expired)" in sites[name].refused[0][1]

    asyncio.run(run())


def test_a_renewed_certificate_is_used_without_a_stop(world, tmp_path):
    async def run():
        expired = new_tls_certificate(world.identities["a"], datetime.now(UTC) - timedelta(days=100))
        async with world.relay() as at:
            a, b = world.site("a", tmp_path, at.port, tls=expired), world.site("b", tmp_path, at.port)
            async with world.working(a, b):
                await world.until(lambda: a.refused)
                renewed = new_tls_certificate(world.identities["a"])
                (tmp_path / "a" / "tls.pem").write_bytes(renewed.key_pem + renewed.chain_pem)
                await world.until(up(a, b))
                assert a.states["b"].refusal is None

    asyncio.run(run())


def test_without_a_certificate_a_site_says_so_and_tries_again(world, tmp_path):
    async def run():
        async with world.relay() as at:
            a, b = world.site("a", tmp_path, at.port), world.site("b", tmp_path, at.port)
            (tmp_path / "a" / "tls.pem").unlink()
            async with world.working(a, b):
                await world.until(lambda: a.refused)
                assert "gossamer site renew" in str(a.states["b"].refusal)

    asyncio.run(run())


def test_sites_with_other_federation_files_do_not_meet(world, tmp_path):
    async def run():
        async with world.relay() as at:
            other = world.hello.model_copy(update={"federation": "cd" * 32})
            a, b = world.site("a", tmp_path, at.port), world.site("b", tmp_path, at.port, hello=other)
            async with world.working(a, b):
                await world.until(lambda: at.guests == (2, 0))
                assert not any(state.streams for each in (a, b) for state in each.states.values())

    asyncio.run(run())


def test_releases_without_a_common_protocol_refuse_each_other_aloud(world, tmp_path):
    async def run():
        async with world.relay() as at:
            newer = world.hello.model_copy(update={"protocols": (7,)})
            a, b = world.site("a", tmp_path, at.port), world.site("b", tmp_path, at.port, hello=newer)
            async with world.working(a, b):
                await world.until(lambda: a.refused and b.refused)
                assert "protocol" in a.refused[0][1]

    asyncio.run(run())


def test_a_site_that_the_relay_does_not_let_in_knows_why(world, tmp_path):
    async def run():
        async with world.relay() as at:
            a = world.site("a", tmp_path, at.port, secret=b"a secret that the relay's owner never gave")
            async with world.working(a):
                await world.until(lambda: a.refused)
            assert a.refused[0][0] == "this site"
            assert "it does not know this site's secret" in str(a.states["b"].refusal)
            assert a.states["b"].refusal.code == "GOS-521"

    asyncio.run(run())


def test_a_peer_that_says_nothing_is_taken_for_gone(world, tmp_path, monkeypatch):
    monkeypatch.setattr(relay_stream, "SILENCE_S", 0.4)

    async def run():
        async with world.relay() as at:
            a, b = world.site("a", tmp_path, at.port), world.site("b", tmp_path, at.port)
            async with world.working(a, b):
                await world.until(lambda: a.states["b"].streams > 1)

    asyncio.run(run())


def test_a_quiet_line_stays_up(world, tmp_path):
    quiet_s = 200.0
    assert quiet_s > max(DEFAULT_LIMITS.idle_s, relay_stream.SILENCE_S)

    async def run():
        async with world.relay() as at:
            a, b = world.site("a", tmp_path, at.port), world.site("b", tmp_path, at.port)
            async with world.working(a, b):
                await world.until(up(a, b))
                await asyncio.sleep(quiet_s)
                assert up(a, b)()
                assert [a.states["b"].streams, b.states["a"].streams] == [1, 1]

    run_in_no_time(run())


def test_a_disk_without_room_for_what_comes_is_told_and_not_a_line_that_ends_in_silence(world, tmp_path, monkeypatch):
    def full(_descriptor, _offset, _length):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("gossamer.transport.incoming.os.posix_fallocate", full)

    async def run():
        async with world.relay() as at:
            a, b = world.site("a", tmp_path, at.port), world.site("b", tmp_path, at.port)
            async with world.working(a, b):
                sending = asyncio.create_task(a.transport.send("b", world.frame))
                try:
                    async with asyncio.timeout(60):
                        await b.one()
                finally:
                    sending.cancel()

    with pytest.raises(DiskFullError, match="a peer sends"):
        asyncio.run(run())
