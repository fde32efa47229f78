"""The way through a relay, as ``gossamer check`` tells it: each fault with its code."""

import asyncio
import threading
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from faults.ports import own_address

from gossamer.runtime.preflight.peers import check_peer
from gossamer.runtime.site_folder import RelaySettings
from gossamer.transport import relay_meeting
from gossamer.transport.relay_limits import RelayLimits
from gossamer.transport.relay_meeting import RelayPlace, meet
from gossamer.transport.relay_pair import pair_of
from gossamer.transport.relay_service import Relay

SECRET = "a secret of the relay's owner, drawn at random"
OTHER = "a secret that the relay's owner has never given"


class RelayAtWork:
    """A relay in a thread of its own, at which a peer may wait."""

    def __init__(self, peer=None):
        self._peer, self._ready = peer, threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live()))

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(60)

    async def _live(self):
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        self._relay = Relay({"group": SECRET.encode()}, RelayLimits())
        self.address = f"127.0.0.1:{await self._relay.start('127.0.0.1', 0)}"
        waiting = []
        if self._peer:
            waiting.append(asyncio.create_task(meet(RelayPlace(self.address, SECRET.encode()), self._peer, "a")))
            while self._relay.guests != (1, 0):
                await asyncio.sleep(0.01)
        self._ready.set()
        await self._over.wait()
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await self._relay.close()


@pytest.fixture
def looked(pair):
    """What a finds of b, where both only dial out."""

    def look(address, secret=SECRET):
        relay = RelaySettings(address=address, secret=secret)
        pair.a.settings = pair.a.settings.model_copy(update={"listen": None, "address": None, "relay": relay})
        b = pair.federation.member(pair.b.identity.site_id).model_copy(update={"address": None})
        [finding] = check_peer(b, pair.a, pair.federation, datetime.now(UTC))
        assert (finding.check, finding.subject) == ("peer", "b")
        assert secret not in finding.found + finding.remedy
        return finding

    return look


def waiting_peer(pair, sha256=None):
    return pair_of(pair.b.identity, pair.a.identity.certificate, sha256 or pair.federation.sha256)


def test_a_peer_that_waits_at_the_relay_is_well(pair, looked):
    with RelayAtWork(waiting_peer(pair)) as relay:
        for _ in range(2):  # nothing is changed by asking
            finding = looked(relay.address)
            assert (finding.state, finding.code) == ("ok", "")
            assert f"it is at the relay at {relay.address}" in finding.found


def test_nobody_at_the_other_end(looked):
    with RelayAtWork() as relay:
        finding = looked(relay.address)
    assert (finding.state, finding.code) == ("fault", "GOS-522")
    assert "whether its service runs" in finding.remedy


def test_a_peer_with_another_federation_file_is_not_there(pair, looked):
    with RelayAtWork(waiting_peer(pair, "cd" * 32)) as relay:
        finding = looked(relay.address)
    assert finding.code == "GOS-522"
    assert "the same federation file" in finding.remedy


def test_a_relay_that_does_not_let_this_site_in(pair, looked):
    with RelayAtWork(waiting_peer(pair)) as relay:
        finding = looked(relay.address, OTHER)
    assert (finding.state, finding.code) == ("fault", "GOS-521")
    assert "does not know this site's secret" in finding.found


def test_a_relay_that_is_away(looked):
    address = own_address()
    finding = looked(address)
    assert (finding.state, finding.code) == ("fault", "GOS-520")
    assert f"wanted the relay at {address}" in finding.found


def test_a_relay_whose_name_nobody_knows(looked):
    assert looked("relay.invalid:7490").code == "GOS-520"


@contextmanager
def saying(somebody, address, words):
    with somebody(address, lambda connection: connection.sendall(words) or connection.recv(1)):
        yield


@pytest.mark.parametrize("words", [b"", b"SSH-2.0-OpenSSH_9.6\r\n", b"GOSSAMER RELAY 9\n" + bytes(32)])
def test_something_else_at_the_relay_s_address(pair, looked, somebody, monkeypatch, words):
    monkeypatch.setattr(relay_meeting, "REACH_S", 0.5)
    address = pair.b.settings.address  # free: b's service does not run
    with saying(somebody, address, words):
        assert looked(address).code == "GOS-520"
