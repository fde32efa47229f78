"""CT series: which images make up a stack, and what is wrong with it.

Law: images go through one room after the other, ``one_image``, ``groups``, ``acquisitions`` and ``checked_stack``, and
each drops nothing by a guess. What is left out is said in a note; what contradicts itself, or lacks a slice, refuses
the series, and that series alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from gossamer.dicom.files.header import CT_CLASSES, Header
from gossamer.dicom.series.acquisitions import acquisitions
from gossamer.dicom.series.checked_stack import checked_series
from gossamer.dicom.series.ct_series import CtSeries, FoundSeries, RefusedSeries, Slice
from gossamer.dicom.series.groups import main_group, without_scouts
from gossamer.dicom.series.one_image import check_usable
from gossamer.dicom.series.pixels import check_scale
from gossamer.errors import DataError


def find_series(headers: Iterable[Header], referenced: Collection[str] = frozenset()) -> FoundSeries:
    """All CT series among headers.

    Args:
        headers: of any objects; those that are no CT images are passed over.
        referenced: SOP Instance UIDs of images that a structure set refers to; see :func:`stacks_of_series`.
    """
    by_series: dict[tuple[str, str, str], list[Header]] = {}
    for header in headers:
        if header.sop_class_uid in CT_CLASSES:
            by_series.setdefault((header.patient_key, header.study_uid, header.series_uid), []).append(header)
    series: list[CtSeries] = []
    refused: list[RefusedSeries] = []
    for (_, _, series_uid), images in by_series.items():
        try:
            series += stacks_of_series(images, referenced)
        except DataError as error:
            refused.append(RefusedSeries(series_uid, error.with_traceback(None)))
    return FoundSeries(tuple(series), tuple(refused))


def stacks_of_series(headers: Sequence[Header], referenced: Collection[str] = frozenset()) -> tuple[CtSeries, ...]:
    """The stack of a series; more than one only where acquisitions overlap.

    Args:
        headers: of the CT images with one Series Instance UID, in any order.
        referenced: SOP Instance UIDs of images that a structure set refers to. They choose among stacks; without any,
            the largest one is kept.

    Raises:
        UnreadableImageError: an image lacks its geometry or scale, two files contradict each other, or all are scouts.
        SliceStackError: images cannot be told apart, contradict each other, one is missing, or they lie too far apart.
    """
    referenced = frozenset(referenced)
    notes: list[str] = []
    slices = without_scouts([Slice(header, plane) for header in headers for plane in header.planes], notes)
    for one in slices:
        check_usable(one)
    check_scale([one.plane for one in slices])
    slices = main_group(slices, referenced, notes)
    return tuple(checked_series(part, [*notes, *more]) for part, more in acquisitions(slices, referenced))
