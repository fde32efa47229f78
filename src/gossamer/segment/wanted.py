"""What a user wants of a CT: in which form its structures are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gossamer.dicom.rtstruct.drawing import Holes
from gossamer.errors import UsageError

Form = Literal["rtstruct", "seg", "nifti"]


@dataclass(frozen=True)
class Wanted:
    """What to write of each CT.

    Attributes:
        form: masks as NIfTI, a structure set, or a DICOM segmentation.
        smooth_mm: how far contours of a structure set may leave the masks' outlines; 0 is exact.
        label_map: a label map as well, of the form ``nifti``.
        holes: how a structure set says them.
    """

    form: Form = "nifti"
    smooth_mm: float = 0.0
    label_map: bool = False
    holes: Holes = "keyhole"

    def __post_init__(self) -> None:
        """Raise UsageError unless the form can have what is asked for."""
        if self.smooth_mm and self.form != "rtstruct":
            raise UsageError(
                f"wanted a form with contours to smooth; found --format {self.form}; give --format rtstruct, or leave "
                "--smooth out"
            )
        if self.holes != "keyhole" and self.form != "rtstruct":
            raise UsageError(
                f"wanted a form with contours for holes as '{self.holes}'; found --format {self.form}; give --format "
                "rtstruct, or leave --holes out"
            )
        if self.label_map and self.form != "nifti":
            raise UsageError(f"wanted NIfTI for a label map; found --format {self.form}; give --format nifti")
