"""The pixels of a segmentation: bits of frames, written and read again.

Law: a frame is on the slice that its own Plane Position says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from gossamer.dicom.series.stack import SliceStack
from gossamer.errors import GeometryMismatchError

Mask = NDArray[np.bool_]

IN_PLACE_MM = 0.001
"""How far a frame may lie beside its slice."""


def slices_of_frames(file: Dataset, stack: SliceStack) -> list[int]:
    """The slice of each frame, by its Plane Position (Patient).

    Raises:
        GeometryMismatchError: one lies on none.
    """
    return [
        _placed(np.array(frame.PlanePositionSequence[0].ImagePositionPatient, dtype=np.float64), stack)
        for frame in file.PerFrameFunctionalGroupsSequence
    ]


def _placed(first_xyz: NDArray[np.float64], stack: SliceStack) -> int:
    k, _ = stack.nearest_slice(float(first_xyz @ stack.normal_xyz))
    if (away_mm := float(np.abs(first_xyz - stack.first_xyz[k]).max())) > IN_PLACE_MM:
        raise GeometryMismatchError(
            f"wanted each frame on a slice; found one {away_mm:.3f} mm beside it; nothing was written: report this as "
            "a fault of Gossamer"
        )
    return k


def packed(masks: Mapping[str, Mask], found: Sequence[str], slices: Sequence[int]) -> bytes:
    """Bits of all frames, one behind the other without a gap, the first in the lowest place (PS3.5 8.1.1, D).

    Args:
        masks: bool [k, r, c] by structure.
        found: structures in the order of their segments.
        slices: of each frame, segment by segment.
    """
    pieces, rest = [], np.zeros(0, np.bool_)
    for name, order in zip(found, np.array(slices).reshape(len(found), -1), strict=True):
        bits = np.concatenate([rest, masks[name][order].ravel()])
        whole = len(bits) // 8 * 8
        pieces.append(np.packbits(bits[:whole], bitorder="little").tobytes())
        rest = bits[whole:]
    pieces.append(np.packbits(rest, bitorder="little").tobytes())
    joined = b"".join(pieces)
    return joined + b"\0" * (len(joined) % 2)


def masks_in(file: Dataset, stack: SliceStack) -> Iterator[tuple[str, Mask]]:
    """Labels of the segments of a file as it was read, and their masks bool [k, r, c]."""
    pixels = np.frombuffer(file.PixelData, np.uint8)
    slices = np.array(slices_of_frames(file, stack))
    shared = file.SharedFunctionalGroupsSequence[0]
    numbers = np.array(
        [
            (frame if "SegmentIdentificationSequence" in frame else shared)
            .SegmentIdentificationSequence[0]
            .ReferencedSegmentNumber
            for frame in file.PerFrameFunctionalGroupsSequence
        ]
    )
    size = stack.rows * stack.columns
    for segment in file.SegmentSequence:
        mask = np.zeros(stack.shape, np.bool_)
        for frame in np.flatnonzero(numbers == segment.SegmentNumber):
            begin = int(frame) * size
            bits = np.unpackbits(pixels[begin // 8 : -(-(begin + size) // 8)], bitorder="little")
            mask[slices[frame]] |= bits[begin % 8 : begin % 8 + size].view(np.bool_).reshape(stack.rows, stack.columns)
        yield str(segment.SegmentLabel), mask
