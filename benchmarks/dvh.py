"""Dose figures of solids in a linear dose, against closed forms, in many places on each grid.

A sphere, a cylinder and a cone of 6 to 14 cubic cm lie in a dose that grows by 1 % in a mm, in four directions; each is
drawn 16 times, at random beside the voxels (flat ends on slices' faces). Figures are the largest errors against the
solid's closed form; beside them stands that of D0.03cc against the mask's own, exact for boxes of voxels: what of the
error is the histogram's, and what the mask's.

Run: python -m benchmarks.dvh [--quick] [--json FILE]
"""

from __future__ import annotations

import numpy as np
from tests.evaluate.solids import (
    ALONG,
    Cone,
    Cylinder,
    Sphere,
    drawn,
    linear_dose,
    mean_gy,
    near_max_gy,
    near_max_of_boxes_gy,
)

from benchmarks.figures import Figure, conclude, options_parser
from gossamer.evaluate.dose_metrics import parse_dose_metric
from gossamer.evaluate.dvh import dose_volume_histogram

SLOPE = 0.5
"""Gy in a mm, of 50 Gy in the middle."""
SOLIDS = (Sphere(15.0), Cylinder(12.0, 24.0), Cone(15.0, 24.0))
SPACINGS = ((1, 1, 1), (2, 1, 1), (2, 2, 2), (3, 1, 1), (3, 2, 2))
PLACES = 16
MEAN, NEAR_MAX = parse_dose_metric("D_mean"), parse_dose_metric("D0.03cc")


def main() -> None:
    """Print a table by grid, then the figures."""
    options = options_parser(__doc__).parse_args()
    places = 2 if options.quick else PLACES
    figures = []
    print(
        "| voxels (mm) | D_mean, largest | D0.03cc, largest | root mean square | above 1 % | D0.03cc of the boxes |\n"
        "|---|---:|---:|---:|---:|---:|"
    )
    for spacing in SPACINGS:
        mean, near, boxes = errors(spacing, places)
        shown = f"{100 * max(near):.2f} % | {100 * np.sqrt(np.mean(np.square(near))):.2f} %"
        name = " x ".join(map(str, spacing))
        above = np.count_nonzero(near > 0.01)
        print(f"| {name} | {100 * max(mean):.2f} % | {shown} | {above} of {len(near)} | {100 * max(boxes):.3f} % |")
        figures += [
            Figure(f"D_mean of solids, voxels of {name} mm", 100 * max(mean), 0.5, "%"),
            Figure(f"D0.03cc of solids, voxels of {name} mm", 100 * max(near), 1.0, "%"),
        ]
    conclude(figures, options)


def errors(spacing: tuple[int, int, int], places: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Relative errors of mean, near-maximum, and this against the mask's, over solids, places and directions."""
    generator = np.random.default_rng(7)
    found = []
    for solid in SOLIDS:
        for _ in range(places):
            along_z = isinstance(solid, Sphere)  # flat ends stay on faces of slices
            mask, frame = drawn(solid, spacing, np.multiply(generator.random(3) - 0.5, spacing) * (along_z, 1, 1))
            for along in ALONG:
                histogram = dose_volume_histogram(mask, frame, linear_dose(along, SLOPE))
                mean, near = histogram.value(MEAN), histogram.value(NEAR_MAX)
                boxes = near_max_of_boxes_gy(mask, frame, along, SLOPE)
                wanted = mean_gy(solid, along, SLOPE), near_max_gy(solid, along, SLOPE)
                found.append([mean / wanted[0] - 1, near / wanted[1] - 1, near / boxes - 1])
    mean, near, boxes = np.abs(np.array(found)).T
    return mean, near, boxes


if __name__ == "__main__":
    main()
