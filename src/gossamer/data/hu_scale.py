"""Whether an image's numbers are Hounsfield units: air, soft tissue and bone have the HU that physics gives them.

HU are defined by water (0) and air (-1000), so that any CT of a patient has voxels near -1000, most of the body between
fat (-100) and muscle (50), and bone above. An intercept left out, a slope, an export for viewing or an MR has not.
Nothing here depends on a model, and nothing is corrected: what the scale should be stands in the original file.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from gossamer.data.body import Body

AIR_HU = (-1100.0, -850.0)
"""Air around the patient and in airways and lungs; scanners are within some 30 HU, lungs end at about -850."""

LEAST_AIR = 0.03
"""Of all voxels. A tightly cropped trunk still has corners, lungs or gas; real CTs at hand have 0.23 or more."""

TISSUE_HU = (-200.0, 200.0)
"""Fat, water, muscle, blood with contrast, most of an organ."""

LEAST_TISSUE = 0.6
"""Of what is denser than lung. Heads with much bone have 0.75, trunks more."""

PEAK_HU = (-150.0, 120.0)
"""The most frequent value of a body: fat of the obese at -110, muscle at 55, organs with contrast at 100."""

LEAST_DENSEST_HU = 180.0
"""The 99.5th percentile of a body is bone, teeth or contrast; 400 and more in whole CTs of any region."""

LEAST_BODY = 0.02
"""Of all voxels: a patient fills a tenth of a field of view at least."""

_SMOOTHING_HU = 8.0
"""Of the histogram: less than tissues differ, more than steps of a stored scale."""


def scale_faults(body: Body) -> Iterator[str]:
    """What is found that no CT in HU has.

    Args:
        body: of the image.

    Yields:
        A phrase for each fault, with what was wanted and found.
    """
    low, high = AIR_HU
    if _share(body.hu, low, high) < LEAST_AIR:
        yield f"wanted air near -1000 HU; found none (values from {body.hu.min():.5g} to {body.hu.max():.5g})"
    dense = body.hu[body.hu > AIR_HU[1]]
    if np.count_nonzero(body.inside) < LEAST_BODY * body.inside.size or not dense.size:
        yield "wanted a patient; found hardly anything denser than air"
        return
    dense = dense[dense > -500]
    tissue = _share(dense, *TISSUE_HU)
    if tissue < LEAST_TISSUE:
        low, high = TISSUE_HU
        yield f"wanted most of the body between {low:.0f} and {high:.0f} HU; found {100 * tissue:.0f} %"
    peak = _peak(dense)
    if not PEAK_HU[0] <= peak <= PEAK_HU[1]:
        yield f"wanted fat or muscle as the most frequent tissue, near -100 or 50 HU; found {peak:.0f} HU"
    densest = float(np.percentile(dense, 99.5))
    if densest < LEAST_DENSEST_HU:
        yield f"wanted bone above {LEAST_DENSEST_HU:.0f} HU; found the densest half per cent at {densest:.5g} HU"


def _share(hu: NDArray[np.float32], low: float, high: float) -> float:
    return float(np.count_nonzero((hu >= low) & (hu <= high)) / max(1, hu.size))


def _peak(hu: NDArray[np.float32]) -> float:
    counts, edges = np.histogram(hu, bins=np.arange(-500, 3073, 4))
    smooth = ndimage.gaussian_filter1d(counts.astype(np.float64), _SMOOTHING_HU / 4)
    return float(edges[int(np.argmax(smooth))] + 2)
