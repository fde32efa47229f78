"""What is found of CT series: stacks of slices that can be read, and series that are refused, with the reason."""

from __future__ import annotations

from dataclasses import dataclass, field

from gossamer.dicom.files.header import Header, Plane
from gossamer.dicom.series.stack import SliceStack
from gossamer.errors import DataError


@dataclass(frozen=True)
class Slice:
    """An image of a series: a file, or a frame of one."""

    header: Header
    plane: Plane

    @property
    def name(self) -> str:
        """What a message calls it where its position is not known: by its Instance Number."""
        number = self.header.instance_number
        image = "an image without a number" if number is None else f"image {number}"
        return f"frame {self.plane.frame + 1} of {image}" if len(self.header.planes) > 1 else image


@dataclass(frozen=True, eq=False)
class CtSeries:
    """A stack of slices that can be read.

    Attributes:
        series_uid: Series Instance UID.
        study_uid: Study Instance UID.
        frame_of_reference_uid: of its coordinates; "" if the files have none.
        patient_key: tells patients apart; never shown.
        slices: in the order of the stack.
        stack: where they lie.
        notes: what was left out, and what a user should know.
    """

    series_uid: str
    study_uid: str
    frame_of_reference_uid: str
    patient_key: str = field(repr=False)
    slices: tuple[Slice, ...] = field(repr=False)
    stack: SliceStack = field(repr=False)
    notes: tuple[str, ...]

    @property
    def sop_instance_uids(self) -> tuple[str, ...]:
        """Of its slices, in the order of the stack; frames of one file share one."""
        return tuple(one.header.sop_instance_uid for one in self.slices)

    @property
    def frame_numbers(self) -> tuple[int, ...]:
        """Of its slices in their files, from 1, where these are multi-frame; else ()."""
        multi = any(len(one.header.planes) > 1 for one in self.slices)
        return tuple(one.plane.frame + 1 for one in self.slices) if multi else ()


@dataclass(frozen=True)
class RefusedSeries:
    """A series that cannot be read.

    Attributes:
        series_uid: Series Instance UID.
        error: why; its code has a page.
    """

    series_uid: str
    error: DataError

    @property
    def reason(self) -> str:
        """A message in four parts."""
        return str(self.error)


@dataclass(frozen=True)
class FoundSeries:
    """The CT series among headers, and those that are refused."""

    series: tuple[CtSeries, ...]
    refused: tuple[RefusedSeries, ...]
