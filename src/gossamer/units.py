"""Axes, frames of reference and units, said once for the whole package.

Axes
    Arrays are indexed ``[z, y, x]``, written in this order everywhere (``spacing_mm`` is (z, y, x) too).
    A *canonical* array runs from inferior to superior along z, from anterior to posterior along y and from
    the patient's right to left along x, so that its axes point as the world's do.

World
    Points in the patient are (x, y, z) millimetres in DICOM's LPS system: x grows to the patient's left,
    y to the back, z to the head (DICOM PS3.3 C.7.6.2.1.1). NIfTI's RAS is converted where a file is read
    or written and nowhere else.

Intensities
    Hounsfield units (HU): air is −1000, water is 0.
"""

ZYX = tuple[float, float, float]
"""Three numbers along z, y and x, for example a spacing in mm."""

ShapeZYX = tuple[int, int, int]
"""Voxel counts along z, y and x."""

AIR_HU = -1000.0
"""Hounsfield units of air; what lies outside a CT is taken to be air."""
