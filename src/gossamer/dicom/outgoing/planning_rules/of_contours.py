"""Rules about contours and their points."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset

from gossamer.dicom.files.elements import items_of
from gossamer.dicom.outgoing.planning_rules.rule import Faults, Rule
from gossamer.dicom.outgoing.planning_rules.written import (
    DECIMAL,
    INTEGER,
    bytes_of,
    contours_of,
    image_lists,
    text_of,
    texts_of,
)

MAX_DS = 16
"""Characters of a decimal string (PS3.5 6.2)."""

MAX_DATA_BYTES = 65_534
"""Of Contour Data: what Explicit VR has a length for (PS3.5 7.1.2)."""

FLAT_MM = 0.01
"""How far points of a contour may lie beside its plane; writers round to 0.01 mm at most."""

TYPES = frozenset({"POINT", "OPEN_PLANAR", "OPEN_NONPLANAR", "CLOSED_PLANAR", "CLOSEDPLANAR_XOR"})
"""Contour Geometric Types (PS3.3 C.8.8.6.1)."""

CLOSED_TYPES = frozenset({"CLOSED_PLANAR", "CLOSEDPLANAR_XOR"})


def _one_image(file: Dataset) -> Faults:
    for contour in contours_of(file):
        images = items_of(contour.item, "ContourImageSequence")
        if len(images) != 1 or not all(
            text_of(images[0], keyword) for keyword in ("ReferencedSOPClassUID", "ReferencedSOPInstanceUID")
        ):
            yield f"{contour.where}: {len(images)} images, of 1 with class and instance UID"


def _known_image(file: Dataset) -> Faults:
    known = {uid for images in image_lists(file) for uid in texts_of(images, "ReferencedSOPInstanceUID")}
    for contour in contours_of(file):
        if not known.issuperset(texts_of(items_of(contour.item, "ContourImageSequence"), "ReferencedSOPInstanceUID")):
            yield f"{contour.where}: its image is not listed in the referenced series"


def _known_type(file: Dataset) -> Faults:
    kinds: dict[str, set[str]] = {}
    for contour in contours_of(file):
        if contour.kind not in TYPES:
            yield f"{contour.where}: Contour Geometric Type is none of the standard's"
        kinds.setdefault(contour.where.partition(",")[0], set()).add(contour.kind)
    for roi, found in kinds.items():
        if "CLOSEDPLANAR_XOR" in found and len(found) > 1:
            yield f"{roi}: CLOSEDPLANAR_XOR among other types"


def _not_xor(file: Dataset) -> Faults:
    if count := sum(contour.kind == "CLOSEDPLANAR_XOR" for contour in contours_of(file)):
        yield f"{count} contours are CLOSEDPLANAR_XOR"


def _counts(file: Dataset) -> Faults:
    for contour in contours_of(file):
        count = bytes_of(contour.item, "NumberOfContourPoints") or b""
        if not INTEGER.fullmatch(count) or int(count) * 3 != len(contour.values):
            yield f"{contour.where}: Number of Contour Points is no integer, or not that of {len(contour.values)} / 3"


def _three_points(file: Dataset) -> Faults:
    for contour in contours_of(file):
        points = contour.points
        if contour.kind in CLOSED_TYPES and (points is None or len(np.unique(points, axis=0)) < 3):
            yield f"{contour.where}: fewer than three different points"


def _not_closed_by_point(file: Dataset) -> Faults:
    for contour in contours_of(file):
        points = contour.points
        if points is not None and len(points) > 1 and contour.kind in CLOSED_TYPES and (points[0] == points[-1]).all():
            yield f"{contour.where}: its last point repeats the first"


def _decimals(file: Dataset) -> Faults:
    for contour in contours_of(file):
        if not all(DECIMAL.fullmatch(value) for value in contour.values):
            yield f"{contour.where}: not all of its Contour Data are numbers"


def _decimal_lengths(file: Dataset) -> Faults:
    for contour in contours_of(file):
        if (longest := max(map(len, contour.values), default=0)) > MAX_DS:
            yield f"{contour.where}: a number of {longest} characters, of {MAX_DS}"


def _data_length(file: Dataset) -> Faults:
    for contour in contours_of(file):
        if (length := len(bytes_of(contour.item, "ContourData") or b"")) > MAX_DATA_BYTES:
            yield f"{contour.where}: {length:,} bytes of Contour Data, of {MAX_DATA_BYTES:,}"


def _flat(file: Dataset) -> Faults:
    for contour in contours_of(file):
        points = contour.points
        if points is None or len(points) < 4 or contour.kind not in CLOSED_TYPES:
            continue
        centred = points - points.mean(axis=0)
        normal = np.linalg.svd(centred, full_matrices=False)[2][2]
        if (away := float(np.abs(centred @ normal).max())) > FLAT_MM:
            yield f"{contour.where}: a point lies {away:.2f} mm beside its plane"


def _along_an_axis(file: Dataset) -> Faults:
    for contour in contours_of(file):
        points = contour.points
        if (
            contour.kind in CLOSED_TYPES
            and points is not None
            and len(points)
            and np.ptp(points, axis=0).min() > FLAT_MM
        ):
            yield f"{contour.where}: its plane is not at right angles to an axis"


OF_CONTOURS = (
    Rule("one image a contour", "PS3.3 C.8.8.6; Stone of Orthanc, XNAT", _one_image),
    Rule("an image that is listed", "PS3.3 C.8.8.6; OHIF", _known_image),
    Rule("a type of the standard", "PS3.3 C.8.8.6.1, C.8.8.6.3", _known_type),
    Rule("no XOR", "Stone of Orthanc, PlatiPy, plastimatch", _not_xor),
    Rule("counts of points", "PS3.3 C.8.8.6; Stone of Orthanc", _counts),
    Rule("three points or more", "PS3.3 C.8.8.6.1", _three_points),
    Rule("first point not repeated", "PS3.3 C.8.8.6.1", _not_closed_by_point),
    Rule("numbers", "PS3.5 6.2", _decimals),
    Rule("numbers of 16 characters", "PS3.5 6.2; Eclipse", _decimal_lengths),
    Rule("contours of 65,534 bytes", "PS3.3 C.8.8.6, PS3.5 7.1.2; OHIF", _data_length),
    Rule("flat contours", "PS3.3 C.8.8.6.1", _flat),
    Rule("planes along an axis", "RayStation 4.6", _along_an_axis),
)
