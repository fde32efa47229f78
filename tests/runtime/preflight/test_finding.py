"""A finding says what and what to do; the worst fault makes the exit status."""

import pytest

from gossamer.errors import DatasetError, IdentityError, NoAnswerError, UsageError
from gossamer.runtime.preflight.finding import exit_status, fault, fault_of, ok, warning

ERRORS = (UsageError, DatasetError, IdentityError, NoAnswerError)


def test_nothing_at_fault_ends_with_0():
    assert exit_status([]) == 0
    assert exit_status([ok("disk", "free"), warning("disk", NoAnswerError, "slow", "wait")]) == 0


@pytest.mark.parametrize("error", ERRORS)
def test_a_fault_ends_with_the_status_of_its_class(error):
    assert exit_status([ok("disk", "free"), fault("disk", error, "none", "free some")]) == error.exit_status


def test_of_several_faults_the_highest_class_counts():
    assert exit_status([fault("x", error, "", "") for error in ERRORS]) == NoAnswerError.exit_status


def test_the_last_part_of_a_message_is_what_to_do():
    error = DatasetError("case A-1: wanted a; found b; do c: now")
    finding = fault_of("data", error, "subject")
    assert (finding.found, finding.remedy) == ("case A-1: wanted a; found b", "do c: now")
    assert (finding.check, finding.subject, finding.state, finding.code) == ("data", "subject", "fault", "GOS-307")


def test_a_message_of_one_part_is_what_was_found():
    finding = fault_of("data", DatasetError("broken"))
    assert (finding.found, finding.remedy) == ("broken", "")
