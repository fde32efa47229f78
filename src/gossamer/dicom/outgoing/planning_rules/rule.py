"""What a rule is, and those that only ask whether elements are there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pydicom.dataset import Dataset

from gossamer.dicom.outgoing.planning_rules.written import bytes_of

Faults = Iterator[str]


@dataclass(frozen=True)
class Rule:
    """A rule.

    Attributes:
        name: what it asks for.
        source: section of the standard, or systems.
        faults: finds what breaks it in a data set.
    """

    name: str
    source: str
    faults: Callable[[Dataset], Faults]


def present(*keywords: str) -> Callable[[Dataset], Faults]:
    """Elements that must be there, and may be empty (type 2)."""

    def faults(file: Dataset) -> Faults:
        for keyword in keywords:
            if keyword not in file:
                yield f"{keyword} is absent"

    return faults


def filled(*keywords: str) -> Callable[[Dataset], Faults]:
    """Elements that must have a value (type 1)."""

    def faults(file: Dataset) -> Faults:
        for keyword in keywords:
            if not bytes_of(file, keyword):
                yield f"{keyword} is absent or empty"

    return faults
