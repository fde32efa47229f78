"""CT series: which images make up a stack, and what is wrong with it.

Law: images go through one room after the other, ``one_image``, ``groups``, ``acquisitions`` and ``checked_stack``, and
each drops nothing by a guess. What is left out is said in a note; what contradicts itself, or lacks a slice, refuses
the series, and that series alone; so does what takes more memory or time than its files deserve.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from gossamer.bounded_pool import Bounds, Lost, outcomes
from gossamer.data.foreign_files import bounds, too_much
from gossamer.dicom.files.header import CT_CLASSES, Header
from gossamer.dicom.series.acquisitions import acquisitions
from gossamer.dicom.series.checked_stack import checked_series
from gossamer.dicom.series.ct_series import CtSeries, FoundSeries, RefusedSeries, Slice
from gossamer.dicom.series.groups import main_group, without_scouts
from gossamer.dicom.series.one_image import check_usable
from gossamer.dicom.series.pixels import check_scale
from gossamer.errors import DataError


def find_series(headers: Iterable[Header], referenced: Collection[str] = frozenset(), workers: int = 0) -> FoundSeries:
    """All CT series among headers.

    Args:
        headers: of any objects; those that are no CT images are passed over.
        referenced: SOP Instance UIDs of images that a structure set refers to; see :func:`stacks_of_series`.
        workers: processes that read pixels of slices at one place, within bounds of memory and time; 0 reads in this
            one, without.

    Raises:
        WorkerError: no worker can be started.
    """
    by_series: dict[tuple[str, str, str], list[Header]] = {}
    for header in headers:
        if header.sop_class_uid in CT_CLASSES:
            by_series.setdefault((header.patient_key, header.study_uid, header.series_uid), []).append(header)
    jobs = [(images, frozenset(referenced)) for images in by_series.values()]
    series: list[CtSeries] = []
    refused: list[RefusedSeries] = []
    for (_, _, series_uid), found in zip(by_series, outcomes(_stacks, jobs, _bounds, workers=workers), strict=True):
        if isinstance(found, tuple):
            series += found
        else:
            error = too_much("a CT series", found) if isinstance(found, Lost) else found
            refused.append(RefusedSeries(series_uid, error))
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


def _stacks(job: tuple[Sequence[Header], frozenset[str]]) -> tuple[CtSeries, ...] | DataError:
    try:
        return stacks_of_series(*job)
    except DataError as error:
        return error.with_traceback(None)


def _bounds(job: tuple[Sequence[Header], frozenset[str]]) -> Bounds:
    return bounds(header.path for header in job[0])
