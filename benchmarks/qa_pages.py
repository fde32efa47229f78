"""Seconds of a core, memory and size of the pages that ``gossamer qa`` draws, a case at a time in one process.

Without a dataset it draws a synthetic case of 512x512x250 voxels (with --quick 96x96x48): noise in a body, and sixteen
balls of 8 to 75 mm radius in it.

Run: python -m benchmarks.qa_pages [DATASET] [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import Figure, conclude, options_parser
from gossamer.data.dataset import Dataset, DatasetWriter
from gossamer.data.frame import Frame
from gossamer.data.image import Image
from gossamer.data.tg263 import STRUCTURES
from gossamer.qa.run import job_of, look_at_case
from gossamer.units import ShapeZYX

SHAPE, QUICK_SHAPE = (250, 512, 512), (48, 96, 96)
SPACING_MM = (2.5, 0.98, 0.98)
ORGANS = 16
RADII_MM = (8.0, 75.0)

MOST_GIB = 4.0
"""What a worker may take (``qa.run.A_CASE``)."""


def main() -> None:
    """Draw the cases; print the figures."""
    options = _options().parse_args()
    with tempfile.TemporaryDirectory() as folder:
        dataset = options.dataset or Path(folder) / "data"
        if not options.dataset:  # in a process of its own, whose memory is not counted
            maker = multiprocessing.get_context("spawn").Process(target=make_dataset, args=(dataset, options.quick))
            maker.start()
            maker.join()
        conclude(measure(Dataset.open(dataset), Path(folder) / "pages"), options)


def _options() -> argparse.ArgumentParser:
    assert __doc__ is not None
    parser = options_parser(__doc__)
    parser.add_argument("dataset", type=Path, nargs="?", help="of one site; else a synthetic case")
    return parser


def make_dataset(folder: Path, quick: bool) -> None:
    """A dataset of one synthetic case."""
    rng, shape = np.random.default_rng(1), QUICK_SHAPE if quick else SHAPE
    y, x = np.ogrid[-1 : 1 : 1j * shape[1], -1 : 1 : 1j * shape[2]]
    body = (y / 0.59) ** 2 + (x / 0.86) ** 2 < 1
    voxels = np.where(body, rng.integers(-150, 200, shape, dtype=np.int16), np.int16(-1000))
    radii_mm = np.geomspace(*RADII_MM, ORGANS) * (0.2 if quick else 1.0)
    middles_mm = rng.uniform(0.3, 0.7, (ORGANS, 3)) * shape * SPACING_MM
    balls = (_ball(shape, middle_mm, radius_mm) for middle_mm, radius_mm in zip(middles_mm, radii_mm, strict=True))
    writer = DatasetWriter(folder, "data")
    writer.add(
        "case", "train", Image(voxels, Frame.canonical(shape, SPACING_MM)), dict(zip(STRUCTURES, balls, strict=False))
    )
    writer.finish()


def _ball(shape: ShapeZYX, middle_mm: NDArray[np.float64], radius_mm: float) -> NDArray[np.bool_]:
    axes = np.ogrid[: shape[0], : shape[1], : shape[2]]
    squared = sum((axis * step - middle) ** 2 for axis, step, middle in zip(axes, SPACING_MM, middle_mm, strict=True))
    return np.asarray(squared < radius_mm**2)


def measure(dataset: Dataset, out: Path) -> list[Figure]:
    """Draw each case; what the process took before is said, too."""
    (out / "cases").mkdir(parents=True)
    before_mib = _peak_mib()
    seconds, sizes = [], []
    for case in dataset.cases:
        began = time.process_time()
        look_at_case(job_of(dataset, case, out))
        seconds.append(time.process_time() - began)
        sizes.append((out / "cases" / f"{case.id}.html").stat().st_size)
    print(f"{len(sizes)} cases; of each, in the median: {statistics.median(seconds):.2f} s of a core", end=", ")
    print(f"a page of {statistics.median(sizes) / 1e6:.2f} MB; peak {_peak_mib():.0f} MiB, {before_mib:.0f} before")
    return [Figure("a case's page: peak memory", _peak_mib() / 1024, MOST_GIB, "GiB")]


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
