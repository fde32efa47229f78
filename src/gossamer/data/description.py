"""What is known of a dataset and its cases, and the rules that make it usable."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import floor
from typing import Literal

from pydantic import BaseModel, ConfigDict

from gossamer.errors import DatasetError, NoTrainingCaseError, TooManyBadCasesError
from gossamer.units import ZYX, ShapeZYX

Split = Literal["train", "val", "test"]

SPLITS: tuple[Split, ...] = ("train", "val", "test")

DESCRIPTION_FILE = "dataset.json"

SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""Ids become names of folders; these stay inside their parent on every system."""

ROUNDING = 1e-9
"""0.29 of 100 is 28.999999999999996 in floating point, and 29 all the same."""

MAX_REASONS = 20
"""Bad cases whose reasons are told in an error: as many as a screen holds. The reasons are mostly the same."""

MAX_SET_ASIDE = 0.05
"""Share of a site's cases that may be bad; a single one is borne even in a small site."""


class Case(BaseModel):
    """What is known of one patient's CT and contours.

    Attributes:
        id: pseudonym, unique in its dataset.
        split: ``train``, ``val`` or ``test``.
        annotated: structures that were drawn; any other is unknown in this patient.
        complete: those of them that lie inside the image, or nearly; only they are scored.
        shape: voxels along z, y, x.
        spacing_mm: along z, y, x.
        notes: what the import did or saw, for example that a mask was snapped to the image's grid.
        sha256: hash of each file, by its place in the case's folder.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    split: Split
    annotated: tuple[str, ...]
    complete: tuple[str, ...]
    shape: ShapeZYX
    spacing_mm: ZYX
    notes: tuple[str, ...] = ()
    sha256: dict[str, str] = {}


class SetAside(BaseModel):
    """A case that could not be used, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    case: str
    reason: str


class Description(BaseModel):
    """``dataset.json``.

    Attributes:
        format: of this file.
        site: the hospital.
        public: the images may be shown in reports.
        cases: all usable cases.
        set_aside: the others.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    site: str
    public: bool
    cases: tuple[Case, ...]
    set_aside: tuple[SetAside, ...] = ()


def require_safe_id(case_id: str, what: str = "case id") -> None:
    """Refuse what could not be a folder's name; the message does not repeat it, for it may be a patient's name.

    Raises:
        DatasetError: it is not safe.
    """
    if not SAFE_ID.fullmatch(case_id):
        strange = sorted({letter for letter in case_id if not SAFE_ID.fullmatch(f"a{letter}")})
        among = f", among them {' '.join(map(repr, strange[:5]))}" if strange else ""
        raise DatasetError(
            f"{what}: wanted 1 to 64 letters, digits, '.', '_' or '-', a letter or digit first; "
            f"found {len(case_id)} characters{among}; give it a pseudonym of that form"
        )


def require_unique_ids(case_ids: list[str], what: str) -> None:
    """Refuse two cases that would share a folder.

    Raises:
        DatasetError: an id occurs twice, ignoring case.
    """
    folded = [case_id.casefold() for case_id in case_ids]
    if twice := sorted({case_id for case_id, name in zip(case_ids, folded, strict=True) if folded.count(name) > 1}):
        raise DatasetError(
            f"{what}: wanted each case id once, ignoring case; found {', '.join(twice[:5])} twice; rename one of each"
        )


def require_few_set_aside(bad: Sequence[SetAside], good: int, allowed_share: float, what: str, remedy: str) -> None:
    """Refuse a site of which too much had to be set aside.

    Args:
        bad: the cases set aside.
        good: how many were not.
        allowed_share: of all cases; above 0, a single case is always allowed.
        what: how messages call the site.
        remedy: what to do about it.

    Raises:
        TooManyBadCasesError: more than allowed are bad.
    """
    total = good + len(bad)
    allowed = max(1, floor(allowed_share * total + ROUNDING)) if allowed_share > 0 else 0
    if len(bad) > allowed:
        reasons = "\n".join(f"  {case.case}: {case.reason}" for case in bad[:MAX_REASONS])
        if len(bad) > MAX_REASONS:
            reasons += f"\n  and {len(bad) - MAX_REASONS} more: {', '.join(case.case for case in bad[MAX_REASONS:])}"
        raise TooManyBadCasesError(
            f"{what}: wanted at most {allowed} bad cases of {total} ({allowed_share:.0%}); found {len(bad)}:\n{reasons}"
            f"\n{remedy}"
        )


def require_training_case(cases: Sequence[Case], what: str) -> None:
    """Refuse a site that has nothing to train on, unless it is a locked set of test cases only.

    Raises:
        NoTrainingCaseError: there is no training case.
    """
    splits = {case.split for case in cases}
    if "train" not in splits and splits != {"test"}:
        raise NoTrainingCaseError(
            f"{what}: wanted cases of split 'train' (or only 'test', for a locked set); found {len(cases)} cases "
            "and none of it; check the splits, or leave the site out"
        )
