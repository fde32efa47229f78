"""Jobs in bounded processes: what exceeds its bounds or kills its process costs itself, in order."""

import os
import re
import signal
import time

import pytest

from gossamer import bounded_pool
from gossamer.bounded_pool import Bounds, Lost, outcomes
from gossamer.errors import UnreadableImageError, WorkerError

BOUNDS = Bounds(memory_bytes=2**27, seconds=20.0)


def act(job):
    """What jobs are: a word to act by, or anything else to give back."""
    match job:
        case "take":
            return len(bytearray(2**28))
        case "give":
            return bytes(100 * 2**20)  # of the 128 MiB that it may take
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "sleep":
            time.sleep(60)
        case "fail":
            raise UnreadableImageError("wanted a file; found none; look")
    return job


def bounds_of(job):
    return Bounds(2**27, 0.3) if str(job).startswith("sleep") else BOUNDS


def test_outcomes_come_in_order_and_what_exceeds_its_bounds_costs_itself():
    jobs = [1, "take", 2, "sleep", 3, "die", 4, 5]
    found = list(outcomes(act, jobs, bounds_of, workers=2, at_a_time=2))
    assert [one for one in found if not isinstance(one, Lost)] == [1, 2, 3, 4, 5]
    assert [found[1], found[3], found[5]] == [
        Lost("it takes more than 0.1 GiB of memory"),
        Lost("it takes more than 0 s"),
        Lost("its process is killed, by damaged content or for want of memory"),
    ]


def test_an_outcome_of_nearly_all_the_memory_of_its_job_arrives():
    assert [len(one) for one in outcomes(act, ["give"], bounds_of, workers=1)] == [100 * 2**20]


def test_an_error_of_a_job_ends_the_run_as_in_one_process():
    for workers in (0, 1):
        found = outcomes(act, [1, "fail", 2], bounds_of, workers=workers)
        assert next(found) == 1
        with pytest.raises(UnreadableImageError, match=re.escape("wanted a file; found none; look")):
            next(found)


def test_where_no_process_can_live_no_job_is_blamed(monkeypatch):
    monkeypatch.setattr(bounded_pool, "_begin", os.abort)
    with pytest.raises(WorkerError, match="found that none can be started"):
        list(outcomes(act, [1, 2], bounds_of, workers=1))


def test_no_jobs_are_no_outcomes():
    assert list(outcomes(act, [], bounds_of, workers=2)) == []


def ends_with_its_time(number):
    """Runs out of memory at about the moment at which its time is over."""
    signal.setitimer(signal.ITIMER_REAL, (number % 200 + 1) * 1e-7, 5.0)
    raise MemoryError


def test_a_job_that_fails_as_its_time_ends_is_lost_and_ends_nothing_else():
    jobs = range(2000)
    found = list(outcomes(ends_with_its_time, jobs, lambda _job: BOUNDS, workers=1, at_a_time=len(jobs)))
    assert {one.why for one in found} <= {"it takes more than 20 s", "it takes more than 0.1 GiB of memory"}
