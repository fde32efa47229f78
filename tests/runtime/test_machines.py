"""Simulated clocks and lines; the default ones held against the ranges that were published."""

import pytest

from gossamer.gossip import Share
from gossamer.runtime.machines import ALIKE, FETS
from gossamer.runtime.network import Carrier
from gossamer.wire.codec import encode
from gossamer.wire.messages import Envelope, Receipt, ShareMessage

SITES = ["D", "A", "C", "B"]


def test_training_takes_from_1_8_to_20_7_s_a_patient():
    step_s = FETS.step_s(SITES)
    assert list(step_s) == ["A", "B", "C", "D"]
    assert (step_s["A"], step_s["D"]) == pytest.approx((1.8, 20.7))
    # Evenly on a logarithmic scale: the same factor from each to the next.
    assert step_s["B"] / step_s["A"] == pytest.approx((20.7 / 1.8) ** (1 / 3))
    assert step_s["D"] / step_s["C"] == pytest.approx((20.7 / 1.8) ** (1 / 3))


def test_model_takes_20_to_431_s_up_and_13_to_217_s_down():
    network = FETS.network(SITES, 60_000_000)
    upload_s = {site: 60_000_000 / network.upload_bytes_per_s[site] for site in SITES}
    download_s = {site: 60_000_000 / network.download_bytes_per_s[site] for site in SITES}
    # The fastest trainer has the slowest line.
    assert (upload_s["A"], upload_s["D"]) == pytest.approx((431.0, 20.0))
    assert (download_s["A"], download_s["D"]) == pytest.approx((217.0, 13.0))


@pytest.mark.parametrize("model_bytes", [1000, 10**9])
def test_hand_over_of_a_model_takes_as_long_whatever_its_size(model_bytes):
    carrier = Carrier(FETS.network(SITES, model_bytes), 0)
    (from_slowest,) = carrier.arrivals_s("A", "D", model_bytes, 0.0)
    assert from_slowest == pytest.approx(431.0 + 0.025 + 13.0)
    (to_slowest,) = carrier.arrivals_s("D", "A", model_bytes, 0.0)
    assert to_slowest == pytest.approx(20.0 + 0.025 + 217.0)


def test_no_frame_is_lost_repeated_or_reordered_by_default():
    line = FETS.network(SITES, 1).line
    assert (line.loss, line.duplicates, line.jitter_s) == (0.0, 0.0, 0.0)


def test_site_alone_is_the_fastest():
    assert FETS.step_s(["A"]) == {"A": 1.8}
    assert FETS.step_s([]) == {}


def test_machines_that_are_alike_differ_by_a_few_per_cent_and_send_a_model_in_a_fifth_of_a_second():
    step_s = ALIKE.step_s(SITES)
    assert (step_s["A"], step_s["D"]) == pytest.approx((1.0, 1.06))
    assert len(set(step_s.values())) == 4
    carrier = Carrier(ALIKE.network(SITES, 10**7), 0)
    assert carrier.arrivals_s("A", "D", 10**7, 0.0) == pytest.approx([0.2 + 0.025])


def test_simulation_without_clocks_and_lines_of_its_own_has_those_of_fets(simulation):
    federation = simulation("sweep", "mesh", 2, rounds=1, step_s=None, network=None, resend_after_s=3600.0)
    model_bytes = federation._limits.frame_bytes
    share, receipt = frame_parts(federation, model_bytes)
    # A trains 2 steps of 1.8 s and has the slow line, B 2 steps of 20.7 s and has the fast one.
    a_sends_s, b_sends_s = 3.6, 41.4
    a_hears_s = b_sends_s + (20 + 217) * share["B"] + 0.025
    b_hears_s = a_sends_s + (431 + 13) * share["A"] + 0.025
    # A's receipt waits until its own share is through the uplink.
    a_is_free_s = max(a_hears_s, a_sends_s + 431 * share["A"])
    a_is_done_s = b_hears_s + (20 + 217) * receipt + 0.025
    b_is_done_s = a_is_free_s + (431 + 13) * receipt + 0.025
    assert federation.run().virtual_s == pytest.approx(max(a_is_done_s, b_is_done_s), rel=1e-9)


def frame_parts(federation, model_bytes):
    """Lengths of a site's share and of a receipt, as parts of a model's."""
    envelope = Envelope("a" * 64, "A", "B", 0)
    states = {name: site.node.snapshot().state for name, site in federation._sites.items()}
    shares = {
        name: encode(ShareMessage(envelope, Share(state.params, state.own.scaled(0.5)))).size_bytes / model_bytes
        for name, state in states.items()
    }
    return shares, encode(Receipt(envelope)).size_bytes / model_bytes
