"""The estimate, by hand; and against a real run of three toy hospitals."""

import asyncio
import re
import time

import pytest

from gossamer.gossip import Mass, SiteId, build_gossip
from gossamer.node.agreement import Agreement
from gossamer.runtime.rehearsal.estimate import Machine, estimate
from gossamer.runtime.site_run import SiteRun
from gossamer.watch import Unwatched

A, B, C, D = map(SiteId, "ABCD")

MACHINES = {A: Machine(1.0, 0.5), B: Machine(2.0, 1.0)}
SHARES_S = {(A, B): 3.0, (B, A): 4.0}


def agreement_of(sites, pace, rounds=100):
    algorithm = "sweep" if pace == "lockstep" else "pushsum"
    chosen, schedule = build_gossip(algorithm, sites, 0, asynchronous=pace == "asynchronous")
    return Agreement("a" * 64, chosen, schedule, rounds, pace=pace, masses=dict.fromkeys(sites, Mass(1.0)))


def test_in_lockstep_a_round_is_the_longest_local_phase_and_the_longest_share():
    """max(10 + 0.5, 20 + 1) + max(3, 4) = 25 s, a hundred times."""
    found = estimate(agreement_of([A, B], "lockstep"), 10, MACHINES, SHARES_S)
    assert found.run_s == pytest.approx(2500)
    assert [site.round_s for site in found.sites.values()] == pytest.approx([25, 25])
    assert [site.local_phase_s for site in found.sites.values()] == pytest.approx([10, 20])
    assert (found.slowest_site, found.slowest_way, found.is_held_by_line) == (B, (B, A), False)


def test_each_exchange_of_a_lockstep_round_waits_for_its_own_slowest_line():
    """Of four sites two pairs exchange, then the other two pairs; AD and BC never do."""
    sites = [A, B, C, D]
    shares_s = {(i, j): 1.0 for i in sites for j in sites if i != j}
    shares_s |= {(A, B): 5.0, (C, D): 7.0, (B, D): 11.0, (A, D): 100.0}
    found = estimate(agreement_of(sites, "lockstep"), 1, dict.fromkeys(sites, Machine(1.0, 0.0)), shares_s)
    assert found.run_s == pytest.approx(100 * (1 + 7 + 11))
    assert found.is_held_by_line


def test_without_waiting_each_site_has_rounds_of_its_own():
    """11.5 s (10 + 0.5 + a tenth of 10) and 23 s, so 200 local phases take 200 / (1 / 11.5 + 1 / 23) s."""
    found = estimate(agreement_of([A, B], "asynchronous"), 10, MACHINES, SHARES_S)
    assert [site.round_s for site in found.sites.values()] == pytest.approx([11.5, 23])
    assert found.run_s == pytest.approx(200 * 23 / 3)
    assert sum(site.rounds for site in found.sites.values()) == pytest.approx(200)
    assert [site.exchange_s for site in found.sites.values()] == pytest.approx([7, 7])


def test_the_others_do_the_local_phases_of_a_site_that_is_away():
    found = estimate(agreement_of([A, B], "asynchronous"), 10, {A: MACHINES[A]}, {})
    assert found.run_s == pytest.approx(200 * 10.5)
    assert found.lacking == ()


def test_a_lockstep_that_lacks_a_line_does_not_end():
    found = estimate(agreement_of([A, B], "lockstep"), 10, MACHINES, {(A, B): 3.0})
    assert (found.run_s, found.lacking) == (None, ((B, A),))


@pytest.mark.parametrize("pace", ["lockstep", "asynchronous"])
def test_nothing_is_told_of_nothing(pace):
    found = estimate(agreement_of([A, B], pace), 10, {}, {})
    assert (found.run_s, found.slowest_site, found.slowest_way) == (None, None, None)


class Times(Unwatched):
    """Remembers when the model was there."""

    def say(self, text):
        if text.startswith("The model is there"):
            self.model_s = time.monotonic()


def test_it_is_near_what_a_real_run_takes(federation_with_data):
    text = federation_with_data.found().file.read_text()
    text = re.sub("local_steps = .*", "local_steps = 40", text).replace("rounds = 10", "rounds = 4")
    federation_with_data.file.write_text(text)
    federation_with_data.approve()
    reports = federation_with_data.reports()

    async def run():
        watch = Times()
        runs = [SiteRun(federation_with_data.site(name), federation_with_data.read(), watch) for name in "ABC"]
        works = [asyncio.create_task(each.run()) for each in runs]
        async with asyncio.timeout(240):
            while any(each.service is None for each in runs):
                await asyncio.sleep(0.01)
            began_s = time.monotonic()
            await asyncio.gather(*works)
        return watch.model_s - began_s

    took_s = asyncio.run(run())
    # Who takes a phase of 40 steps for a step is found out; that other programs slow one of the two down is not judged.
    assert took_s / 8 < reports["A"].run_s < 8 * took_s
