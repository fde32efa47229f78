"""Lines by hand: when a frame arrives, and how often."""

import pytest

from gossamer.runtime.network import Carrier, Line, Network


def test_frame_over_a_line_without_limits_takes_its_delay():
    assert Carrier(Network(Line(delay_s=0.25)), 0).arrivals_s("A", "B", 10**9, 4.0) == [4.25]


def test_frame_takes_its_size_over_upload_and_download_speed_one_after_the_other():
    network = Network(Line(delay_s=2.0), upload_bytes_per_s={"A": 100.0}, download_bytes_per_s={"B": 50.0})
    # 300 bytes: 3 s up, 2 s on the way, 6 s down.
    assert Carrier(network, 0).arrivals_s("A", "B", 300, 10.0) == [21.0]
    assert Carrier(network, 0).arrivals_s("B", "A", 300, 10.0) == [12.0]


def test_frames_wait_for_their_senders_uplink_and_not_for_their_receivers_downlink():
    network = Network(upload_bytes_per_s={"A": 100.0}, download_bytes_per_s={"B": 100.0})
    carrier = Carrier(network, 0)
    assert carrier.arrivals_s("A", "B", 500, 0.0) == [10.0]
    # The uplink is free at 5 s; this frame is through at 6 s.
    assert carrier.arrivals_s("A", "C", 100, 1.0) == [6.0]
    assert carrier.arrivals_s("A", "C", 100, 20.0) == [21.0]
    # Another sender has an uplink of its own.
    assert carrier.arrivals_s("C", "B", 100, 1.0) == [2.0]


def test_lost_frame_used_its_uplink_all_the_same():
    network = Network(lines={("A", "B"): Line(loss=1.0)}, upload_bytes_per_s={"A": 100.0})
    carrier = Carrier(network, 0)
    assert carrier.arrivals_s("A", "B", 500, 0.0) == []
    assert carrier.arrivals_s("A", "C", 100, 0.0) == [6.0]


def test_named_line_counts_one_way_only():
    network = Network(Line(delay_s=1.0), {("A", "B"): Line(delay_s=9.0)})
    carrier = Carrier(network, 0)
    assert [carrier.arrivals_s(*ends, 1, 0.0) for ends in ("AB", "BA", "AC")] == [[9.0], [1.0], [1.0]]


def test_jitter_delays_each_copy_by_its_own_part():
    carrier = Carrier(Network(Line(delay_s=1.0, jitter_s=4.0, duplicates=1.0)), 3)
    arrivals = [carrier.arrivals_s("A", "B", 1, 0.0) for _ in range(500)]
    assert all(len(copies) == 2 and copies[0] != copies[1] for copies in arrivals)
    late = sorted(at_s for copies in arrivals for at_s in copies)
    assert 1.0 <= late[0] < 1.1
    assert 4.9 < late[-1] < 5.0
    # The mean of 1000 uniform draws over 4 s: 3 s, give or take 5 standard errors of 4 / sqrt(12 x 1000).
    assert sum(late) / 1000 == pytest.approx(3.0, abs=0.19)


def test_loss_and_duplicates_are_parts_of_the_frames():
    carrier = Carrier(Network(Line(loss=0.3, duplicates=0.2)), 5)
    copies = [len(carrier.arrivals_s("A", "B", 1, 0.0)) for _ in range(4000)]
    # 0.3 lost; of the rest a fifth comes twice. Five standard errors are below 0.04.
    assert copies.count(0) / 4000 == pytest.approx(0.3, abs=0.04)
    assert copies.count(2) / 4000 == pytest.approx(0.7 * 0.2, abs=0.04)


def test_what_is_lost_on_one_line_does_not_change_the_chances_of_another():
    jittery = Line(jitter_s=1.0)
    sound, broken = Network(jittery), Network(jittery, {("A", "B"): Line(loss=1.0, duplicates=1.0, jitter_s=3.0)})
    arrivals = [
        [carrier.arrivals_s(*ends, 1, 0.0) for ends in ("AB", "CD", "AB", "CD")][1::2]
        for carrier in (Carrier(sound, 7), Carrier(broken, 7))
    ]
    assert arrivals[0] == arrivals[1]


def test_same_seed_same_arrivals_other_seed_others():
    network = Network(Line(jitter_s=1.0, loss=0.3))
    runs = [[Carrier(network, seed).arrivals_s("A", "B", 1, 0.0) for _ in range(3)] for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


def test_carrier_goes_on_from_its_record():
    network = Network(Line(jitter_s=1.0, loss=0.3), upload_bytes_per_s={"A": 1.0})
    carrier, again = Carrier(network, 1), Carrier(network, 1)
    carrier.arrivals_s("A", "B", 7, 0.0)
    again.load(carrier.record())
    later = [carrier.arrivals_s("A", "B", 7, 1.0) for _ in range(5)]
    assert [again.arrivals_s("A", "B", 7, 1.0) for _ in range(5)] == later
