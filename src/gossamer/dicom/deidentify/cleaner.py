"""What stays of a data set by the allowlist, with other UIDs, moved dates and new names of ROIs; see ``deidentify``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from gossamer.dicom.deidentify import allowlist
from gossamer.dicom.files.codes import is_standard_uid
from gossamer.dicom.files.elements import ascii_of, bytes_of, items_of, whole_number_of
from gossamer.errors import UnreadableImageError

FRAME_OFFSETS = (b"\x04\x30\x0c\x00", b"\x30\x04\x00\x0c")
"""Grid Frame Offset Vector as a Frame Increment Pointer (PS3.3 C.8.8.3), in both orders of bytes."""

DATE = re.compile(r"\d{8}")
TIME = re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?")
"""A DA and a TM (PS3.5 6.2)."""


class Cleaner:
    """Makes data sets of one file clean, and the items of their sequences."""

    def __init__(
        self, file: Dataset, new_uid: Callable[[str], str], days_earlier: int | None, rois: Mapping[int, str]
    ) -> None:
        """What to clean with.

        Args:
            file: as it was read.
            new_uid: gives the UID that stands for another one.
            days_earlier: by which dates are moved; None removes them.
            rois: names by number of the ROIs that stay.
        """
        self._uid = new_uid
        self._days = days_earlier
        self._rois = rois
        implicit, little_endian = file.original_encoding
        self._encoding = bool(implicit), little_endian is not False

    def cleaned(self, data: Dataset) -> Dataset:
        """A data set with what stays."""
        clean = Dataset()
        # As it was read: so elements are written as they stand, without being parsed. No text stays, so no charset.
        clean.set_original_encoding(*self._encoding, "iso8859")
        for tag in data.keys():  # noqa: SIM118  iterating over a data set parses its elements
            if keyword := allowlist.KEYWORDS.get(tag):
                for element in self._kept(data, keyword):
                    clean[element.tag] = element
        return clean

    def _kept(self, data: Dataset, keyword: str) -> Iterator[DataElement | RawDataElement]:
        """What stays of an element: it, one in its place, or nothing."""
        if keyword in allowlist.SEQUENCES:
            yield new_element(keyword, self._items(data, keyword))
        elif keyword in allowlist.UIDS | allowlist.CLASS_UIDS:
            yield new_element(keyword, self._uid_of(keyword, ascii_of(data, keyword)))
        elif keyword in allowlist.PIXELS:
            if keyword == "PixelData" or bytes_of(data, keyword) in FRAME_OFFSETS:
                yield data.get_item(keyword)
        elif keyword in allowlist.DUMMIES:
            yield new_element(keyword, allowlist.DUMMIES[keyword])
        elif self._days is not None and (moved := _moved(keyword, ascii_of(data, keyword), self._days)):
            yield new_element(keyword, moved)
        elif keyword in allowlist.EMPTIED:
            yield new_element(keyword, "")
        elif keyword not in allowlist.DATES:
            yield from self._of_its_kind(data, keyword)

    def _of_its_kind(self, data: Dataset, keyword: str) -> Iterator[DataElement | RawDataElement]:
        """A number or code as it stands; if it is none, it goes, or the object is refused."""
        raw, value = data.get_item(keyword), bytes_of(data, keyword)
        if keyword in allowlist.CODES:
            kept = allowlist.kept_codes(keyword, value) if value.strip(b" \0") else b""
        elif keyword in allowlist.SHORTS:
            kept = value if len(value) == 2 else None
        else:
            kept = value if allowlist.are_decimals(value) else None
        if isinstance(raw, RawDataElement) and kept is not None:
            yield raw._replace(value=kept, length=len(kept))
        elif keyword in allowlist.ESSENTIAL:
            raise UnreadableImageError(
                f"wanted {keyword} as DICOM defines it; found something else; export the object again"
            )
        elif keyword in allowlist.DECIMALS | allowlist.EMPTIED_CODES:
            yield new_element(keyword, None)

    def _uid_of(self, keyword: str, uid: str) -> str:
        if not uid or (keyword in allowlist.CLASS_UIDS and is_standard_uid(uid)):
            return uid
        return self._uid(uid)

    def _items(self, data: Dataset, keyword: str) -> list[Dataset]:
        """Cleaned items; those about a ROI that goes, go (law 3)."""
        by = {
            "StructureSetROISequence": "ROINumber",
            "ROIContourSequence": "ReferencedROINumber",
            "RTROIObservationsSequence": "ReferencedROINumber",
        }.get(keyword)
        items = []
        for item in items_of(data, keyword):
            number = whole_number_of(item, by) if by else None
            if by and number not in self._rois:
                continue
            items.append(self.cleaned(item))
            if keyword == "StructureSetROISequence" and number is not None:
                items[-1].ROIName = self._rois[number]
        return items


def _moved(keyword: str, text: str, days: int) -> str:
    """A date so many days earlier, or the time of a structure set, which says which of two is newer; "" of others."""
    if keyword == "StructureSetTime" and TIME.fullmatch(text):
        return text
    if keyword not in allowlist.DATES or not DATE.fullmatch(text):
        return ""
    try:
        return f"{datetime.strptime(text, '%Y%m%d') - timedelta(days=days):%Y%m%d}"
    except (ValueError, OverflowError):
        return ""


def new_element(keyword: str, value: object) -> DataElement:
    """An element with the VR that it has in the standard."""
    tag = Tag(keyword)
    return DataElement(tag, dictionary_VR(tag), value)
