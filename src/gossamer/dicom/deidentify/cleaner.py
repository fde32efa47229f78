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
from gossamer.dicom.files.elements import ascii_of, bytes_of, items_of, short_of, whole_number_of
from gossamer.errors import UnreadableImageError

FRAME_OFFSETS = (b"\x04\x30\x0c\x00", b"\x30\x04\x00\x0c")
"""Grid Frame Offset Vector as a Frame Increment Pointer (PS3.3 C.8.8.3), in both orders of bytes."""

DATE = re.compile(r"\d{8}")
TIME = re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?")
"""A DA and a TM (PS3.5 6.2)."""


class Cleaner:
    """Makes one file clean, with the items of its sequences."""

    def __init__(
        self, file: Dataset, new_uid: Callable[[str], str], days_earlier: int | None, rois: Mapping[int, str]
    ) -> None:
        """What to clean, and with what.

        Args:
            file: as it was read.
            new_uid: gives the UID that stands for another one.
            days_earlier: by which dates are moved; None removes them.
            rois: names by number of the ROIs that stay.
        """
        self._file = file
        self._uid = new_uid
        self._days = days_earlier
        self._rois = rois
        implicit, little_endian = file.original_encoding
        self._encoding = bool(implicit), little_endian is not False
        self._short = "SS" if short_of(file, "PixelRepresentation") else "US"

    def without_pixels(self) -> Dataset:
        """What stays of a file that is no image: its pixels, should it have any, are none."""
        return self._cleaned(self._file)

    def with_pixels(self) -> Dataset:
        """What stays of an image or a dose."""
        clean = self._cleaned(self._file)
        clean[Tag("PixelData")] = self._as_it_stands("PixelData", self._file.get_item("PixelData"))
        if bytes_of(self._file, "FrameIncrementPointer") in FRAME_OFFSETS:
            pointer = self._file.get_item("FrameIncrementPointer")
            clean[Tag("FrameIncrementPointer")] = self._as_it_stands("FrameIncrementPointer", pointer)
        return clean

    def _cleaned(self, data: Dataset) -> Dataset:
        """What stays of the file or an item, without pixels."""
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
            kept = value if allowlist.are_decimals(value) and not allowlist.is_too_telling(keyword, value) else None
        if isinstance(raw, RawDataElement) and kept is not None:
            yield self._as_it_stands(keyword, raw)._replace(value=kept, length=len(kept))
        elif keyword in allowlist.ESSENTIAL:
            raise UnreadableImageError(
                f"wanted {keyword} as DICOM defines it; found something else; export the object again"
            )
        elif keyword in allowlist.DECIMALS | allowlist.EMPTIED_CODES:
            yield new_element(keyword, None)

    def _as_it_stands(self, keyword: str, raw: DataElement | RawDataElement | None) -> RawDataElement:
        """An element with its bytes, and with the VR of the standard: two letters of a file may be anything."""
        if not isinstance(raw, RawDataElement):
            raise UnreadableImageError(f"wanted {keyword}; found an object without; export it again")
        if self._encoding[0]:  # Implicit VR: none is written
            return raw
        standard = dictionary_VR(raw.tag)
        either = {"US or SS": ("US", "SS"), "OB or OW": ("OB", "OW")}.get(standard, (standard,))
        otherwise = {"US or SS": self._short, "OB or OW": "OW"}.get(standard, standard)
        return raw._replace(VR=raw.VR if raw.VR in either else otherwise)

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
            items.append(self._cleaned(item))
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
        return (datetime.strptime(text, "%Y%m%d") - timedelta(days=days)).date().isoformat().replace("-", "")
    except (ValueError, OverflowError):
        return ""


def new_element(keyword: str, value: object) -> DataElement:
    """An element with the VR that it has in the standard."""
    tag = Tag(keyword)
    return DataElement(tag, dictionary_VR(tag), value)
