"""What one look at a site found: a value that a table, a JSON file and an exit status are made of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from gossamer.errors import GossamerError

State = Literal["ok", "warning", "fault"]


@dataclass(frozen=True)
class Finding:
    """One finding.

    Attributes:
        check: what was looked at, for example ``disk``.
        subject: which one of several, for example a peer's name; empty where there is one.
        state: ``ok``; ``warning`` where a run can begin all the same; ``fault`` where it cannot, or would come to harm.
        found: what is there.
        remedy: what to do; empty where all is well.
        code: of the error that this is or would become; empty where all is well.
    """

    check: str
    subject: str
    state: State
    found: str
    remedy: str = ""
    code: str = ""


def ok(check: str, found: str, subject: str = "") -> Finding:
    """All is well."""
    return Finding(check, subject, "ok", found)


def warning(check: str, kind: type[GossamerError], found: str, remedy: str, subject: str = "") -> Finding:
    """Something that a run can begin with all the same."""
    return Finding(check, subject, "warning", found, remedy, kind.code)


def fault(check: str, kind: type[GossamerError], found: str, remedy: str, subject: str = "") -> Finding:
    """Something that a run cannot begin with, or would come to harm by."""
    return Finding(check, subject, "fault", found, remedy, kind.code)


def fault_of(check: str, error: GossamerError, subject: str = "") -> Finding:
    """The fault that an error tells of: a message's last part is what to do."""
    found, _, remedy = str(error).rpartition("; ")
    return Finding(check, subject, "fault", found or remedy, remedy if found else "", error.code)


def exit_status(findings: Iterable[Finding]) -> int:
    """0 where nothing is at fault, else the highest status of the faults' classes: the digit their codes begin with."""
    return max((int(finding.code[4]) for finding in findings if finding.state == "fault"), default=0)
