"""Which CT series a structure set was drawn on, and which of several structure sets of a CT counts.

Law
    1. What the file says goes first, in this order: the series that it names, the images that its contours refer to,
       frame of reference and study, frame of reference alone. Each rule narrows down what the one before left.
    2. A tie is a question to the user and never a guess.
    3. Another frame of reference is other coordinates (PS3.3 C.7.4.1.1.1). It is forgiven, with a warning, only where
       the CT is the patient's only one, and all contours lie on its slices and inside them.
    4. Studies need not agree: in public collections the structure set often has its own.

Messages name series by their place in the list given, and ROIs by their number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from gossamer.dicom.files.codes import shown_code
from gossamer.dicom.rtstruct.placing import OFF_PLANE_MM
from gossamer.dicom.rtstruct.structure_set import CLOSED_TYPES, StructureSet
from gossamer.dicom.series.stack import SliceStack
from gossamer.errors import DataError, GeometryMismatchError


class CandidateSeries(Protocol):
    """What is needed of a CT series; texts are "" where unknown."""

    @property
    def series_uid(self) -> str:
        """Series Instance UID."""

    @property
    def study_uid(self) -> str:
        """Study Instance UID."""

    @property
    def frame_of_reference_uid(self) -> str:
        """Frame of Reference UID."""

    @property
    def patient_key(self) -> str:
        """Patient ID, as in ``StructureSet``; tells patients apart."""

    @property
    def sop_instance_uids(self) -> Sequence[str]:
        """Of its slices, in the order of the stack."""

    @property
    def stack(self) -> SliceStack:
        """Where its slices lie."""


Series = TypeVar("Series", bound=CandidateSeries)


@dataclass(frozen=True, eq=False)
class Match(Generic[Series]):
    """The series that a structure set was drawn on.

    Attributes:
        series: one of the candidates.
        rule: which rule decided.
        foreign_rois: numbers of ROIs in another frame of reference (PS3.3 C.8.8.5); not to be filled here.
        notes: warnings for the report.
    """

    series: Series
    rule: str
    foreign_rois: tuple[int, ...]
    notes: tuple[str, ...]


def match_series(structures: StructureSet, candidates: Sequence[Series]) -> Match[Series]:
    """Choose the series that a structure set was drawn on.

    Args:
        structures: as read.
        candidates: CT series, of this and other patients.

    Raises:
        DataError: two or more series are equally likely, or what the file says contradicts itself.
        GeometryMismatchError: none is likely, or its frame of reference is another and law 3 does not hold.
    """
    own = [series for series in candidates if series.patient_key == structures.patient_key]
    left, rule = own, ""
    for name, select in _RULES:
        hits = select(structures, left)
        if hits:
            left, rule = list(hits), name
        if len(hits) == 1:
            break
    if rule and len(left) > 1:
        raise DataError(
            f"structure set: wanted one series that it was drawn on; found {len(left)} by {rule}: "
            f"{_listed(left, candidates)}; take the others out of the folder"
        )
    if not rule and len(own) != 1:
        raise GeometryMismatchError(
            "structure set: wanted the series that it was drawn on; found no series of its patient that it refers to, "
            f"or whose frame of reference it has, among {len(own)}; add that series"
        )
    [series] = left
    _check_not_of_another(structures, series, own, candidates)
    return _checked_match(structures, series, rule, alone=len(own) == 1)


def _checked_match(structures: StructureSet, series: Series, rule: str, *, alone: bool) -> Match[Series]:
    """A match by the frames of reference, or against them by law 3."""
    frame_uid = series.frame_of_reference_uid
    if rule and (not frame_uid or not structures.frame_of_reference_uids):
        return Match(series, rule, (), ("the frame of reference is not known of both structure set and series",))
    if rule and frame_uid in structures.frame_of_reference_uids:
        foreign = _foreign(structures, frame_uid)
        notes = (f"ROIs {', '.join(map(str, foreign))} are in another frame of reference than the CT",)
        return Match(series, rule, foreign, notes if foreign else ())
    if not alone:
        raise GeometryMismatchError(
            "structure set: wanted the frame of reference of the series that it refers to; found another one, and "
            "more than one series of this patient; export the CT and the structure set again, together"
        )
    if wrong := _why_not_on(structures, series.stack):
        raise GeometryMismatchError(
            "structure set: wanted the frame of reference of the CT; found another one, or none, and "
            f"{wrong}; was it drawn on another series? add that one, or leave the structure set out"
        )
    warning = (
        "the structure set has another frame of reference than the CT, or none; taken because this is the patient's "
        "only CT and all contours lie on its slices: check one case by eye"
    )
    return Match(series, rule or "being the patient's only series", (), (warning,))


# The rules


def _named_series(structures: StructureSet, left: Sequence[Series]) -> list[Series]:
    return [series for series in left if series.series_uid and series.series_uid in structures.series_uids]


def _referred_images(structures: StructureSet, left: Sequence[Series]) -> list[Series]:
    counts = [_referred(structures, series) for series in left]
    return [series for series, count in zip(left, counts, strict=True) if count and count == max(counts)]


def _referred(structures: StructureSet, series: CandidateSeries) -> int:
    """How many images of a series the contours refer to; if they refer to none at all, how many are listed."""
    uids = frozenset(uid for roi in structures.rois.values() for uid in roi.image_uids) or structures.image_uids
    return len(uids.intersection(series.sop_instance_uids))


def _same_frame_and_study(structures: StructureSet, left: Sequence[Series]) -> list[Series]:
    studies = {structures.study_uid, *structures.referenced_study_uids} - {""}
    return [series for series in _same_frame(structures, left) if series.study_uid in studies]


def _same_frame(structures: StructureSet, left: Sequence[Series]) -> list[Series]:
    return [series for series in left if series.frame_of_reference_uid in structures.frame_of_reference_uids]


_RULES: tuple[tuple[str, Callable[[StructureSet, Sequence[Any]], list[Any]]], ...] = (
    ("the series that it names", _named_series),
    ("the images that its contours refer to", _referred_images),
    ("frame of reference and study", _same_frame_and_study),
    ("frame of reference", _same_frame),
)


def _check_not_of_another(
    structures: StructureSet, series: Series, own: Sequence[Series], candidates: Sequence[Series]
) -> None:
    """Raise if the contours refer to images of another series only."""
    if _referred(structures, series):
        return
    if others := [other for other in own if _referred(structures, other)]:
        raise DataError(
            "structure set: wanted contours on the series that it names; found that they refer to images of "
            f"{_listed(others, candidates)}, and it names {_listed([series], candidates)}; take the wrong one out of "
            "the folder, or export the structure set again"
        )


def _foreign(structures: StructureSet, frame_uid: str) -> tuple[int, ...]:
    rois = structures.rois.values()
    return tuple(roi.number for roi in rois if roi.frame_of_reference_uid not in ("", frame_uid))


def _listed(some: Sequence[CandidateSeries], candidates: Sequence[CandidateSeries]) -> str:
    places = [next(n for n, one in enumerate(candidates, start=1) if one is series) for series in some]
    return "; ".join(f"series {n} ({_where(candidates[n - 1].stack)})" for n in places)


def _where(stack: SliceStack) -> str:
    k, rows, columns = stack.shape
    return f"{k} slices of {rows}x{columns}, {stack.positions_mm[0]:.2f} to {stack.positions_mm[-1]:.2f} mm"


def _why_not_on(structures: StructureSet, stack: SliceStack) -> str:
    """Why the contours cannot all have been drawn on these slices; "" if they can."""
    contours = [
        (roi, contour) for roi in structures.rois.values() for contour in roi.contours if contour.kind in CLOSED_TYPES
    ]
    if not contours:
        return "no contour to tell by"
    step_mm = np.array([np.linalg.norm(stack.row_step_xyz), np.linalg.norm(stack.column_step_xyz)])
    slack = 0.5 + OFF_PLANE_MM / step_mm  # of a pixel's half, and what writers round
    for roi, contour in contours:
        heights_mm = contour.points_xyz @ stack.normal_xyz
        k, offset_mm = stack.nearest_slice(float(heights_mm.mean()))
        reach_mm = min(OFF_PLANE_MM, float(stack.half_gaps_mm[k]))
        if float(np.abs(heights_mm - stack.positions_mm[k]).max()) > reach_mm:
            return f"ROI {roi.number} has a contour {abs(offset_mm):.2f} mm off the nearest slice"
        pixels = stack.pixel_from_world(contour.points_xyz, k)
        if (pixels < -slack).any() or (pixels > np.array([stack.rows, stack.columns]) - 1 + slack).any():
            return f"ROI {roi.number} reaches beyond its slices"
    return ""


# Several structure sets of one CT

_RANKS = {"APPROVED": 2, "REJECTED": 0}
"""Approval Status (PS3.3 C.8.8.16); everything else stands between."""


@dataclass(frozen=True, eq=False)
class Choice:
    """One of several structure sets.

    Attributes:
        chosen: the one that counts.
        losers: the others, each with the reason.
    """

    chosen: StructureSet
    losers: tuple[tuple[StructureSet, str], ...]


def choose_structure_set(sets: Sequence[StructureSet], label: str | None = None) -> Choice:
    """Choose one of several structure sets of one CT.

    The rule: the one with the label that the user gives; else, or among those, approved before unapproved before
    rejected, then the newest date and time. A set without a date is older than any.

    Args:
        sets: at least one.
        label: Structure Set Label or Name; spaces around it and case do not matter.

    Raises:
        DataError: none has the label, or the rule does not decide.
    """
    wanted = "" if label is None else label.strip().casefold()
    named = [one for one in sets if not wanted or wanted in (one.label.casefold(), one.name.casefold())]
    if not named:
        raise DataError(
            f"wanted a structure set with the label that was named; found {len(sets)} without; "
            "check the label, or leave it out"
        )
    best = max(_precedence(one) for one in named)
    winners = [one for one in named if _precedence(one) == best]
    if len(winners) > 1:
        raise DataError(
            f"wanted one structure set of a CT; found {len(winners)} with the same approval status, date and time; "
            "name one by its label, or leave the others out"
        )
    [chosen] = winners
    return Choice(chosen, tuple((one, _why_lost(one, chosen, named)) for one in sets if one is not chosen))


def _precedence(structures: StructureSet) -> tuple[int, str, str]:
    rank = _RANKS.get(structures.approval_status, 1)
    return rank, _digits(structures.date), _digits(structures.time).ljust(12, "0")


def _digits(text: str) -> str:
    """Of a date or time; ACR-NEMA wrote dots and colons into them (PS3.5 6.2, notes on DA and TM)."""
    return "".join(character for character in text if character in "0123456789")


def _why_lost(loser: StructureSet, chosen: StructureSet, named: Sequence[StructureSet]) -> str:
    if not any(loser is one for one in named):
        return "it has another label than was named"
    if _precedence(loser)[0] < _precedence(chosen)[0]:
        own, other = (shown_code("ApprovalStatus", one.approval_status) for one in (loser, chosen))
        return f"its approval status is {own}, that of another is {other}"
    return "another is newer"
