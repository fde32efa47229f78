"""Masks, series to draw them on, and what our own reader makes of the structure set."""

import itertools
from datetime import datetime
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from scipy import ndimage
from tests.dicom.phantom_series import FRAME, SERIES, STUDY, write_series

from gossamer.dicom.files.headers import read_headers
from gossamer.dicom.outgoing.made_by import MadeBy
from gossamer.dicom.outgoing.reference import ReferenceSeries, reference_of
from gossamer.dicom.outgoing.write_structure_set import write_structure_set
from gossamer.dicom.rtstruct.filling import fill_structure
from gossamer.dicom.rtstruct.read import read_structure_set
from gossamer.dicom.series.find import find_series
from gossamer.dicom.series.stack import SliceStack

NOW = datetime(2026, 3, 4, 15, 6, 7)
MADE_BY = MadeBy("Gossamer", "0.1.0", "ab" * 32, "Head and neck, four hospitals")
SHARED = Path(__file__).parents[4] / "shared" / "data"
OPENKBP, REAL_CT = SHARED / "openkbp", SHARED / "dicom_rt" / "lung4d_113_p40.tar.xz"
AXES = np.eye(3)
ORIENTATIONS = [
    (axes[0] * signs[0], axes[1] * signs[1], axes[2] * signs[2])
    for axes in itertools.permutations(AXES)
    for signs in itertools.product((1, -1), repeat=3)
]
"""Where slices, rows and columns grow: 48."""


def turned(degrees):
    """An oblique plane's directions."""
    a, b = np.radians(degrees)
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    return (about_z @ about_x).T[::-1]


def reference_to(directions=(AXES[2], AXES[1], AXES[0]), shape=(4, 14, 19), spacing=(3.0, 1.1, 0.7), header=None):
    """A series that exists in memory alone; its stack is what its texts say."""
    along, down, across = (np.asarray(d) * s for d, s in zip(directions, spacing, strict=True))
    first = np.array([-101.3, 57.25, 20.6]) + np.arange(shape[0])[:, None] * along
    texts = tuple(tuple(f"{value:.6f}" for value in point) for point in first)
    stack = SliceStack(shape[1], shape[2], np.array(texts, dtype=float), down, across)
    uids = tuple(f"1.2.3.2.{k + 1}" for k in range(shape[0]))
    header = header if header is not None else header_of()
    return ReferenceSeries(header, SERIES, STUDY, FRAME, "1.2.840.10008.5.1.4.1.1.2", uids, texts, stack)


def header_of(**elements):
    header = Dataset()
    for keyword, value in {"SpecificCharacterSet": "ISO_IR 192", "PatientName": "Doe^Jane", "PatientID": "1"}.items():
        setattr(header, keyword, value)
    for keyword, value in elements.items():
        setattr(header, keyword, value)
    return header


def write(path, masks, reference, **settings):
    return write_structure_set(path, masks, reference, **{"label": "Auto", "made_by": MADE_BY, "now": NOW, **settings})


def refilled(path, reference):
    """Masks by name, by our reader, which wants slices in the order along their normal."""
    stack = reference.stack
    order = np.argsort(stack.positions_mm)
    sorted_stack = SliceStack(
        stack.rows, stack.columns, stack.first_xyz[order], stack.row_step_xyz, stack.column_step_xyz
    )
    masks = {}
    for name, roi in read_structure_set(path).by_name.items():
        filled = fill_structure(roi, sorted_stack, [reference.sop_instance_uids[k] for k in order])
        masks[name] = np.zeros_like(filled.mask)
        masks[name][order] = filled.mask
    return masks


def same(path, masks, reference):
    """Whether a file's structures are the masks, to the voxel."""
    found = refilled(path, reference)
    assert found.keys() == masks.keys()
    return all((found[name] == mask).all() for name, mask in masks.items())


def ring_with_island(shape=(4, 14, 19)):
    """A frame with an island in its hole, on two slices in the middle; touches the border of the slices."""
    mask = np.zeros(shape, bool)
    mask[1:3, 0:11, 2:15] = True
    mask[1:3, 2:9, 4:12] = False
    mask[1:3, 4:6, 6:9] = True
    return mask


def shape_of(kind, rng, shape=(4, 14, 19)):
    """A mask of a kind that contours are known to get wrong."""
    mask = np.zeros(shape, bool)
    if kind == "blobs":
        mask = ndimage.gaussian_filter(rng.standard_normal(shape), (0.6, 1.5, 1.5)) > 0.05
    elif kind == "noise":
        mask[1:3] = rng.random((2, *shape[1:])) < rng.uniform(0.1, 0.9)
    elif kind == "holes":
        mask = ring_with_island(shape)
        mask[:, :, :] ^= ndimage.binary_dilation(rng.random(shape) < 0.02, np.ones((1, 2, 2)))
    elif kind == "thin":
        mask[rng.integers(4), rng.integers(14)] = mask[rng.integers(4), :, rng.integers(19)] = True
    elif kind == "diagonal":
        mask[1, range(14), range(14)] = mask[2, range(14), range(13, -1, -1)] = True
    elif kind == "border":
        mask[:, [0, -1]] = mask[:, :, [0, -1]] = True
    else:
        mask[rng.integers(4), rng.integers(14), rng.integers(19)] = True
    mask[0, 0, 0] |= not mask.any()
    return mask


KINDS = ("blobs", "noise", "holes", "thin", "diagonal", "border", "single")


def series_on_disk(folder, **settings):
    settings.setdefault("shape", (4, 14, 19))
    settings.setdefault("spacing", (3.0, 1.1, 0.7))
    write_series(folder, **settings)
    [series] = find_series(read_headers(folder).headers).series
    return reference_of(series)
