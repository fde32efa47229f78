"""What stands in a structure set, from its bytes: elements, references, contours, whatever is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

from gossamer.dicom.files.elements import items_of

DECIMAL = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
INTEGER = re.compile(rb"[+-]?\d{1,11}")
"""A DS and an IS (PS3.5 6.2)."""


def bytes_of(data: Dataset, keyword: str) -> bytes | None:
    """The bytes of an element, without padding; None if it is absent."""
    if keyword not in data:
        return None
    element = data.get_item(keyword)
    value = element.value
    if isinstance(element, RawDataElement):
        return (value or b"").strip(b" \0")
    if value is None or isinstance(value, DicomSequence):
        return b""
    values = value if isinstance(value, list | pydicom.multival.MultiValue) else [value]
    return "\\".join(str(one) for one in values).encode("utf-8", "replace")


def text_of(data: Dataset, keyword: str) -> str:
    """A code, UID or number as text; "" if it is absent."""
    return (bytes_of(data, keyword) or b"").decode("ascii", "replace")


def texts_of(items: Sequence[Dataset], keyword: str) -> list[str]:
    """Of each item."""
    return [text_of(item, keyword) for item in items]


@dataclass(frozen=True)
class WrittenContour:
    """A contour and where it is."""

    where: str
    item: Dataset

    @property
    def kind(self) -> str:
        """Its Contour Geometric Type."""
        return text_of(self.item, "ContourGeometricType")

    @property
    def values(self) -> list[bytes]:
        """Its Contour Data, value by value."""
        data = bytes_of(self.item, "ContourData") or b""
        return [value.strip(b" \0") for value in data.split(b"\\")] if data else []

    @property
    def points(self) -> NDArray[np.float64] | None:
        """float64 [n, 3]; None where the values are no points."""
        values = self.values
        if len(values) % 3 or not all(DECIMAL.fullmatch(value) for value in values):
            return None
        return np.array([float(value) for value in values]).reshape(-1, 3)


def contours_of(file: Dataset) -> Iterator[WrittenContour]:
    """All contours of all ROIs."""
    for roi in items_of(file, "ROIContourSequence"):
        number = text_of(roi, "ReferencedROINumber")
        for place, item in enumerate(items_of(roi, "ContourSequence"), start=1):
            yield WrittenContour(f"ROI {number}, contour {place}", item)


def image_lists(file: Dataset) -> Iterator[Sequence[Dataset]]:
    """Of each series that the file refers to, the images."""
    for series in referenced_series(file):
        yield items_of(series, "ContourImageSequence")


def referenced_studies(file: Dataset) -> list[Dataset]:
    """Items of all studies that the file refers to."""
    frames = items_of(file, "ReferencedFrameOfReferenceSequence")
    return [study for frame in frames for study in items_of(frame, "RTReferencedStudySequence")]


def referenced_series(file: Dataset) -> list[Dataset]:
    """Items of all series that the file refers to."""
    return [one for study in referenced_studies(file) for one in items_of(study, "RTReferencedSeriesSequence")]
