"""How a site says how it gets on: on loopback only, as JSON and for Prometheus."""

import asyncio
import http.client
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from faults.ports import own_address
from prometheus_client.parser import text_string_to_metric_families

from gossamer.errors import ListenError, StatusError
from gossamer.node.snapshot import Phase
from gossamer.runtime.status import PeerStatus, SiteStatus, Stage, ago, prometheus_text
from gossamer.runtime.status_endpoint import ask_status, status_endpoint

NOW = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)

PEER = PeerStatus(
    site="B",
    reachable=True,
    since=NOW - timedelta(minutes=5),
    refusal=None,
    joined=True,
    agreed=True,
    heard=NOW - timedelta(seconds=40),
    round_index=3,
    behind=-1,
    shares=4,
    finished=False,
    bytes_sent=1000,
    bytes_received=2000,
)
GONE = PEER.model_copy(update={"site": "C", "reachable": False, "heard": None, "round_index": None, "behind": None})

STATUS = SiteStatus(
    site="A",
    site_id="1" * 64,
    federation="2" * 64,
    title="Three",
    release="0.1.0",
    at=NOW,
    stage="exchanging",
    round_index=2,
    rounds=10,
    phase_s=12.5,
    loss=0.25,
    waits_for=("C",),
    refusals={"GOS-501": 3},
    certificate_ends=NOW + timedelta(days=80),
    peers=(PEER, GONE),
)


def with_endpoint(ask, status=lambda: STATUS):
    """What ``ask(address)`` gives while a site tells its status."""

    async def run():
        address = own_address()
        with status_endpoint(address, status):
            return await asyncio.to_thread(ask, address)

    return asyncio.run(run())


def got(address, path, host=None):
    connection = http.client.HTTPConnection(address, timeout=60)
    connection.request("GET", path, headers={"Host": host} if host else {})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_whatever_phase_a_node_is_in_can_be_told():
    assert set(get_args(Phase)) <= set(get_args(Stage))


def test_a_running_site_is_asked_how_it_gets_on():
    assert with_endpoint(ask_status) == STATUS


def test_prometheus_reads_every_number():
    status, text = with_endpoint(lambda address: got(address, "/metrics"))
    assert status == 200
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["gossamer_stage", "exchanging"] == 1
    assert samples["gossamer_round",] == 2
    assert samples["gossamer_refusals", "GOS-501"] == 3
    assert samples["gossamer_peer_reachable", "B"] == 1
    assert samples["gossamer_peer_reachable", "C"] == 0
    assert samples["gossamer_peer_waited_for", "C"] == 1
    assert samples["gossamer_peer_heard_seconds", "B"] == (NOW - timedelta(seconds=40)).timestamp()
    assert samples["gossamer_peer_heard_seconds", "C"] == 0
    assert samples["gossamer_peer_behind_rounds", "B"] == -1


def test_a_page_that_resolves_its_own_name_to_this_machine_gets_nothing():
    port_of = lambda address: address.rpartition(":")[2]  # noqa: E731
    status, text = with_endpoint(lambda address: got(address, "/", host=f"evil.example:{port_of(address)}"))
    assert status == 403
    assert "exchanging" not in text
    assert with_endpoint(lambda address: got(address, "/", host=f"localhost:{port_of(address)}"))[0] == 200


def test_there_is_nothing_else_to_read():
    assert with_endpoint(lambda address: got(address, "/../site.toml"))[0] == 404


def test_a_port_that_is_taken_is_said():
    async def run():
        address = own_address()
        with status_endpoint(address, lambda: STATUS), status_endpoint(address, lambda: STATUS):
            pass

    with pytest.raises(ListenError, match="another 'status'"):
        asyncio.run(run())


def test_nobody_at_the_address_is_said():
    with pytest.raises(StatusError, match="gossamer site run"):
        ask_status(own_address())


def test_the_port_is_free_again_afterwards():
    async def run():
        address = own_address()
        for _ in range(2):
            with status_endpoint(address, lambda: STATUS):
                assert (await asyncio.to_thread(ask_status, address)).site == "A"

    asyncio.run(run())


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (59, "59 s"), (61, "1 min"), (7300, "2 h"), (200_000, "2 d"), (-5, "0 s")]
)
def test_times_are_said_in_the_largest_unit_that_fits(seconds, words):
    assert ago(NOW - timedelta(seconds=seconds), NOW.timestamp()) == words


def test_a_peer_that_was_never_heard_is_not_called_healthy():
    text = prometheus_text(STATUS).decode()
    assert 'gossamer_peer_heard_seconds{peer="C"} 0.0' in text
    assert ago(None) == "never"
