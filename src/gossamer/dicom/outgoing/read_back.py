"""What a structure set encloses that was written, from its bytes: by its points alone, whatever they were made of."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from gossamer.dicom.rtstruct.placing import PIXEL_DECIMALS
from gossamer.dicom.rtstruct.rings import Ring, box_around, fill
from gossamer.dicom.series.stack import SliceStack

Mask = NDArray[np.bool_]


def masks_in(file: Dataset, stack: SliceStack) -> Iterator[tuple[str, Mask]]:
    """Names of the ROIs of a file as it was read, and their masks bool [k, r, c]."""
    names = {roi.ROINumber: str(roi.ROIName) for roi in file.StructureSetROISequence}
    for roi in file.ROIContourSequence:
        rings: dict[int, list[Ring]] = {}
        for contour in roi.ContourSequence:
            k, ring = _placed(contour, stack)
            rings.setdefault(k, []).append(ring)
        mask = np.zeros(stack.shape, np.bool_)
        for k, on_slice in rings.items():
            low, high = box_around(on_slice, mask[k].shape)
            mask[k, low[0] : high[0], low[1] : high[1]] = fill([ring - low for ring in on_slice], *(high - low))
        yield names[roi.ReferencedROINumber], mask


def _placed(contour: Dataset, stack: SliceStack) -> tuple[int, Ring]:
    data = contour.get_item("ContourData").value
    points_xyz = np.array(data.decode("ascii").split("\\"), dtype=np.float64).reshape(-1, 3)
    k, _ = stack.nearest_slice(float(points_xyz[0] @ stack.normal_xyz))
    return k, np.round(stack.pixel_from_world(points_xyz, k), PIXEL_DECIMALS)
