"""A structure set (RTSTRUCT, DICOM PS3.3 A.19) as plain values, which ``read`` reads and ``filling`` fills.

Messages and notes name a ROI by its number: its name is a hospital's text and may hold a person's name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CLOSED_TYPES = frozenset({"CLOSED_PLANAR", "INTERPOLATED_PLANAR", "CLOSEDPLANAR_XOR"})
"""Contour Geometric Types that enclose something (PS3.3 C.8.8.6.1); the second is a vendor's own."""


class RoiState(StrEnum):
    """What a structure set says of a ROI that it lists.

    Only ``CONTOURED`` says that someone drew it. The others say nothing about where the organ is not.
    """

    CONTOURED = "contoured"
    DECLARED_EMPTY = "declared empty"
    """It has an item in the ROI Contour Sequence, and no contour in it."""
    ABSENT = "absent"
    """It is listed, and has no item in the ROI Contour Sequence."""


@dataclass(frozen=True)
class ImageReference:
    """An image that a contour refers to (PS3.3 C.8.8.6, Table 10-3).

    Attributes:
        uid: Referenced SOP Instance UID.
        frames: Referenced Frame Number, from 1; () means the whole file.
    """

    uid: str
    frames: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Contour:
    """One contour.

    Attributes:
        kind: its Contour Geometric Type.
        points_xyz: float64 [n, 3]; in LPS mm, as they stand in the file.
        images: that it refers to.
    """

    kind: str
    points_xyz: Floats
    images: tuple[ImageReference, ...]


@dataclass(frozen=True, eq=False)
class Roi:
    """A region of interest.

    Attributes:
        number: ROI Number; its key.
        name: ROI Name, decoded with replacement, without the spaces around it; may be empty.
        name_bytes: the same as it stands in the file.
        interpreted_type: RT ROI Interpreted Type, such as ORGAN or PTV; may be empty.
        frame_of_reference_uid: Referenced Frame of Reference UID; "" if the file has none.
        state: whether it was drawn.
        contours: those with points enough for their type.
        refusal: why its contours cannot be believed; "" if they can.
        notes: what was left out, and what a user should know.
    """

    number: int
    name: str = field(repr=False)
    name_bytes: bytes = field(repr=False)
    interpreted_type: str
    frame_of_reference_uid: str
    state: RoiState
    contours: tuple[Contour, ...] = field(default=(), repr=False)
    refusal: str = ""
    notes: tuple[str, ...] = ()

    @property
    def is_volume(self) -> bool:
        """Whether it has a contour that encloses something."""
        return any(contour.kind in CLOSED_TYPES for contour in self.contours)

    @property
    def image_uids(self) -> frozenset[str]:
        """SOP Instance UIDs of the images that its contours refer to."""
        return frozenset(image.uid for contour in self.contours for image in contour.images)


@dataclass(frozen=True, eq=False)
class StructureSet:
    """What a structure set says; texts are "" where the file has none.

    Attributes:
        label: Structure Set Label.
        name: Structure Set Name.
        date: Structure Set Date, as in the file.
        time: Structure Set Time, as in the file.
        approval_status: APPROVED, UNAPPROVED, REJECTED or "".
        manufacturer: of the system that wrote it.
        sop_instance_uid: its own.
        study_uid: Study Instance UID; need not be that of its CT.
        patient_key: Patient ID; tells patients apart and is never shown.
        frame_of_reference_uids: all that the file names, its ROIs' first.
        series_uids: of the image series that it refers to.
        referenced_study_uids: of the studies that these are in.
        image_uids: SOP Instance UIDs of all images that it lists, apart from its contours.
        rois: by ROI Number.
        notes: what was left out of the list of ROIs, and why.
    """

    label: str = field(repr=False)
    name: str = field(repr=False)
    date: str
    time: str
    approval_status: str
    manufacturer: str
    sop_instance_uid: str
    study_uid: str
    patient_key: str = field(repr=False)
    frame_of_reference_uids: tuple[str, ...]
    series_uids: tuple[str, ...]
    referenced_study_uids: tuple[str, ...]
    image_uids: frozenset[str] = field(repr=False)
    rois: Mapping[int, Roi]
    notes: tuple[str, ...] = ()

    @cached_property
    def by_name(self) -> Mapping[str, Roi]:
        """ROIs by their names, without those that have none or share it; names differ in more than case."""
        shared = shared_names(self.rois)
        return {roi.name: roi for roi in self.rois.values() if roi.name and roi.name.casefold() not in shared}


def shared_names(rois: Mapping[int, Roi]) -> set[str]:
    """Names of more than one ROI; TG-263 (7.2) wants them to differ in more than case."""
    counts = Counter(roi.name.casefold() for roi in rois.values() if roi.name)
    return {name for name, count in counts.items() if count > 1}
