"""What makes one hospital's CTs and contours differ from another's, and the four hospitals of the demonstration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from gossamer.units import ZYX

Region = Literal["abdomen", "head-neck"]

Phase = Literal["plain", "arterial", "portal"]
"""When the scan begins after the contrast agent is given: not at all, at about 35 s, at about 70 s."""


@dataclass(frozen=True)
class Scanner:
    """How a hospital takes its CTs.

    Attributes:
        spacing_mm: of the voxels.
        field_of_view_mm: diameter of the reconstructed circle; what lies outside is not in the image.
        phase: of the contrast agent.
        blur_mm: full width at half maximum of the reconstruction kernel, in plane.
        sharpening: by how much the kernel overshoots at edges; 0 for a smooth one.
        noise_hu: standard deviation in the middle of 320 mm of water.
        noise_grain_mm: half the typical distance of the noise's crests.
        shift_hu: calibration error.
        reach_mm: by region, lower and upper end of the scan in the patient's coordinates.
        reach_sd_mm: by how much both ends vary from patient to patient.
    """

    spacing_mm: ZYX = (3.0, 3.0, 3.0)
    field_of_view_mm: float = 420.0
    phase: Phase = "portal"
    blur_mm: float = 3.5
    sharpening: float = 0.0
    noise_hu: float = 9.0
    noise_grain_mm: float = 4.0
    shift_hu: float = 0.0
    reach_mm: Mapping[Region, tuple[float, float]] = field(
        default_factory=lambda: {"abdomen": (-200.0, 125.0), "head-neck": (-150.0, 150.0)}
    )
    reach_sd_mm: float = 8.0


@dataclass(frozen=True)
class Habit:
    """How a hospital contours.

    Attributes:
        margin_mm: how far outside the true surface its contours lie; negative inside.
        smoothing_mm: grain below which its contours follow no detail.
        wobble_mm: standard deviation of the hand, in grains of some 2 cm.
        slices_skipped: at each end of every organ.
        cord_mm: length of the spinal cord that is drawn, from its lower end in the abdomen, from the
            skull in head and neck.
    """

    margin_mm: float = 0.0
    smoothing_mm: float = 0.0
    wobble_mm: float = 0.5
    slices_skipped: int = 0
    cord_mm: float = 150.0


@dataclass(frozen=True)
class Hospital:
    """A hospital.

    Attributes:
        name: of the site.
        scanner: its CTs.
        habit: its contours.
        coverage: by structure, the share of patients in whom it is drawn; 1 where not said.
    """

    name: str
    scanner: Scanner = Scanner()
    habit: Habit = Habit()
    coverage: Mapping[str, float] = field(default_factory=dict)


HOSPITALS = (
    Hospital(
        "A",
        Scanner(),
        Habit(cord_mm=150.0),
        {"Stomach": 0.8, "Larynx": 0.7, "Esophagus": 0.6},
    ),
    Hospital(
        "B",
        Scanner(
            spacing_mm=(5.0, 4.0, 4.0),
            field_of_view_mm=500.0,
            phase="plain",
            blur_mm=5.0,
            noise_hu=12.0,
            noise_grain_mm=5.5,
            shift_hu=6.0,
            reach_mm={"abdomen": (-235.0, 105.0), "head-neck": (-190.0, 190.0)},
        ),
        Habit(margin_mm=1.5, smoothing_mm=4.0, cord_mm=130.0),
        {"Spleen": 0.0, "Stomach": 0.6, "Larynx": 0.5, "Bone_Mandible": 0.5},
    ),
    Hospital(
        "C",
        Scanner(
            spacing_mm=(4.0, 3.5, 3.5),
            field_of_view_mm=380.0,
            phase="arterial",
            blur_mm=3.5,
            sharpening=0.6,
            noise_hu=11.0,
            noise_grain_mm=3.2,
            shift_hu=-8.0,
            reach_mm={"abdomen": (-135.0, 110.0), "head-neck": (-120.0, 110.0)},
            reach_sd_mm=14.0,
        ),
        Habit(margin_mm=-1.0, slices_skipped=1, cord_mm=120.0),
        {"Stomach": 0.0, "SpinalCord": 0.7, "Esophagus": 0.0},
    ),
    Hospital(
        "D",
        Scanner(
            spacing_mm=(5.0, 3.5, 3.5),
            field_of_view_mm=350.0,
            phase="portal",
            blur_mm=4.5,
            noise_hu=6.0,
            noise_grain_mm=5.0,
            reach_mm={"abdomen": (-215.0, 130.0), "head-neck": (-170.0, 130.0)},
        ),
        Habit(margin_mm=0.5, smoothing_mm=6.0, wobble_mm=1.0, cord_mm=170.0),
        {"Kidney_L": 0.6, "Kidney_R": 0.6, "SpinalCord": 0.0, "Brainstem": 0.6, "Larynx": 0.0},
    ),
)
"""Four hospitals that differ as hospitals do; no two draw the same organs."""
