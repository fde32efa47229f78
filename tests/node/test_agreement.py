"""What all sites agree on: the calendar by hand, and what is refused before anything begins."""

import pytest

from gossamer.errors import ScheduleError
from gossamer.gossip import build_algorithm, build_topology
from gossamer.node.agreement import Agreement


def test_exchanges_are_counted_over_the_whole_run(agree):
    # Three sites on the base graph need 3 exchanges a round; a rolling sweep takes 1, and 2 x 3 - 1 = 5 at the end.
    sweep, rolling = agree("ABC", rounds=4), agree("ABC", "rolling-sweep", rounds=4)
    assert (sweep.exchanges, rolling.exchanges) == (4 * 3, 3 * 1 + 5)
    assert [sweep.end_of_round(index) for index in range(4)] == [3, 6, 9, 12]
    assert [rolling.end_of_round(index) for index in range(4)] == [1, 2, 3, 8]


def test_single_round_has_the_final_exchanges_only(agree):
    agreement = agree("ABC", "rolling-sweep", rounds=1)
    assert (agreement.exchanges, agreement.end_of_round(0)) == (5, 5)


@pytest.mark.parametrize("federation", ["", "f" * 63, "F" * 64, "f" * 64 + "\n", "g" * 64])
def test_federation_is_a_sha256(agree, federation):
    with pytest.raises(ScheduleError, match="64 hexadecimal digits"):
        agree(federation=federation)


def test_run_has_at_least_one_round(agree):
    with pytest.raises(ScheduleError, match=r"at least one round.*found 0"):
        agree(rounds=0)


@pytest.mark.parametrize("wait_s", [0.0, -1.0, float("nan")])
def test_wait_for_a_receipt_is_positive(mesh, wait_s):
    with pytest.raises(ScheduleError, match="a positive time before a share is sent again"):
        Agreement("f" * 64, build_algorithm("sweep"), mesh("AB"), 1, resend_after_s=wait_s)


def test_algorithm_whose_laws_do_not_hold_on_the_topology_is_refused(mesh):
    with pytest.raises(ScheduleError, match="'fedavg': wanted the topology 'star'"):
        Agreement("f" * 64, build_algorithm("fedavg"), mesh("AB"), 1)


@pytest.mark.parametrize("name", ["", "A\n", "A\u202e", "x" * 201])
def test_site_whose_messages_every_peer_would_refuse_is_refused_before_it_begins(name):
    with pytest.raises(ScheduleError, match="wanted site names of 1 to 200 printable characters"):
        Agreement("f" * 64, build_algorithm("sweep"), build_topology("mesh", ["A", name], 0), 1)


def test_site_names_may_be_of_any_language(agree):
    assert agree(["Köln (Süd)", "東京", "Sites #1"], "dpsgd", "ring").topology.sites == (
        "Köln (Süd)",
        "Sites #1",
        "東京",
    )
