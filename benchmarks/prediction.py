"""Memory and time of predicting one large CT with many structures, beside the bare network on the same windows.

Run: python -m benchmarks.prediction [--quick] [--json FILE] [--structures 30] [--spacing 2.5] [--threads 2]
     [--scattered]

The CT is noise in a body, 512x512x300 voxels (with --quick 96x96x48, and a small network). The network's parameters are
random, so in place of what it answers come organs: balls of 8 to 75 mm radius, each with a speck far from it, which its
main piece leaves out. With --scattered the answer is taken as it is, with biases so that each structure has voxels here
and there in every plane: no organs are like that, and none cost more.
"""

from __future__ import annotations

import itertools
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.figures import Figure, conclude, options_parser
from gossamer.data.frame import Frame
from gossamer.data.image import Image, write_nifti
from gossamer.data.plan import NetworkPlan, Plan
from gossamer.nets import SegmentationNetwork, build_network, parameters_of
from gossamer.segment import predict
from gossamer.segment.model_file import ModelRecord, read_model, write_model
from gossamer.segment.output import ImageFile, write_prediction
from gossamer.segment.pieces import main_pieces
from gossamer.segment.sliding import logit_planes
from gossamer.units import ShapeZYX

SHAPE = (300, 512, 512)
QUICK_SHAPE = (48, 96, 96)
SPACING_MM = (2.5, 0.98, 0.98)
SHARE_OF_BODY = 0.01
RADII_MM = (8.0, 75.0)
"""From an eye to a liver: 2 ml to 1.8 l."""
SPECK_MM = 5.0


class Timed(nn.Module):
    """A network that counts its windows and seconds."""

    def __init__(self, network: SegmentationNetwork) -> None:
        super().__init__()
        self.network = network
        self.windows = 0
        self.seconds = 0.0

    def forward(self, images: Tensor) -> Tensor:
        """The network's logits."""
        began = time.perf_counter()
        logits: Tensor = self.network(images)
        self.seconds += time.perf_counter() - began
        self.windows += 1
        return logits


class Organs:
    """A ball for each structure, and a speck far from it, as logits."""

    def __init__(self, structures: int, depth: int, spacing_mm: float) -> None:
        """Place them.

        Args:
            structures: how many.
            depth: planes of the plan's grid.
            spacing_mm: of the plan's grid.
        """
        rng = np.random.default_rng(1)
        radii = np.geomspace(*RADII_MM, structures) / spacing_mm
        organs = [(rng.uniform(0.3, 0.7, 3), radius) for radius in radii]
        specks = [((place + 0.4) % 1, SPECK_MM / spacing_mm) for place, _ in organs]
        self._balls = [*enumerate(organs), *enumerate(specks)]
        self._depth = depth
        self.seconds = 0.0

    def plane(self, z: int, answer: Tensor) -> Tensor:
        """What stands in the place of a plane [structure, y, x] of the network's answer."""
        began = time.perf_counter()
        logits = torch.full_like(answer, -9.0)
        height, width = answer.shape[1:]
        for row, (place, radius) in self._balls:
            zc, yc, xc = place * (self._depth, height, width)
            if abs(z - zc) < radius:
                y, x = np.ogrid[:height, :width]
                inside = radius**2 - (z - zc) ** 2 - (y - yc) ** 2 - (x - xc) ** 2
                logits[row] = logits[row].maximum(torch.from_numpy(inside.clip(-9, 9)).to(logits.dtype))
        self.seconds += time.perf_counter() - began
        return logits


class TimedPlanes:
    """``logit_planes``, with the time at which it was first asked and the seconds spent in it."""

    def __init__(self, organs: Organs | None) -> None:
        self.organs = organs
        self.began = 0.0
        self.seconds = 0.0

    def __call__(self, *arguments: Any, **keywords: Any) -> Iterator[Tensor]:
        """The planes."""
        self.began = time.perf_counter()
        planes = logit_planes(*arguments, **keywords)
        for z in itertools.count():
            began = time.perf_counter()
            plane = next(planes, None)
            self.seconds += time.perf_counter() - began
            if plane is None:
                return
            yield self.organs.plane(z, plane) if self.organs else plane


class TimedPieces:
    """``main_pieces``, with the seconds spent in it."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The main pieces."""
        began = time.perf_counter()
        pieces = main_pieces(mask)
        self.seconds += time.perf_counter() - began
        return pieces


def make_plan(structures: int, spacing_mm: float, *, quick: bool) -> Plan:
    """A plan as the preset has it, with many structures, each of them one piece."""
    channels = (8, 16) if quick else (24, 48, 96, 192)
    names = tuple(f"Structure_{i}" for i in range(structures))
    return Plan(
        structures=names,
        one_piece=names,
        spacing_mm=(spacing_mm,) * 3,
        patch_size=(32, 32, 32) if quick else (64, 64, 64),
        hu_low=-200.0,
        hu_high=300.0,
        hu_mean=0.0,
        hu_sd=100.0,
        position_channels=True,
        network=NetworkPlan("unet", channels, ((2, 2, 2),) * (len(channels) - 1)),
    )


def make_ct(shape: ShapeZYX) -> Image:
    """Noise in an elliptic body, in air; int16."""
    rng = np.random.default_rng(0)
    y, x = np.ogrid[-1 : 1 : 1j * shape[1], -1 : 1 : 1j * shape[2]]
    body = (y / 0.59) ** 2 + (x / 0.86) ** 2 < 1  # 30 cm by 43 cm
    voxels = np.full(shape, -1000, dtype=np.int16)
    for plane in voxels:
        plane[body] = rng.integers(-150, 200, np.count_nonzero(body), dtype=np.int16)
    return Image(voxels, Frame.canonical(shape, SPACING_MM))


def set_biases(network: SegmentationNetwork, plan: Plan) -> None:
    """Let each structure fill its share of a window of noise."""
    noise = torch.randn(1, plan.input_channels, *plan.patch_size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        logits = network(noise)[0].flatten(1)
    assert network.head.bias is not None
    with torch.no_grad():
        network.head.bias -= torch.quantile(logits, 1 - SHARE_OF_BODY, dim=1)


def peak_gib() -> float:
    """Largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    """Print the figures."""
    parser = options_parser(__doc__)
    parser.add_argument("--structures", type=int, default=30)
    parser.add_argument("--spacing", type=float, default=2.5, help="of the plan, along all axes, in mm")
    parser.add_argument("--scattered", action="store_true", help="voxels here and there in place of organs")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    plan = make_plan(options.structures, options.spacing, quick=options.quick)
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), plan, QUICK_SHAPE if options.quick else SHAPE, scattered=options.scattered)
    conclude(figures, options)


def measure(folder: Path, plan: Plan, shape: ShapeZYX, *, scattered: bool) -> list[Figure]:
    """Predict one CT and write its masks."""
    network = build_network(plan)
    set_biases(network.eval(), plan)
    record = ModelRecord(arm="benchmark", seed=0, sites={}, steps=0, rounds=0, gossamer_version="0")
    write_model(folder / "model.safetensors", parameters_of(network), plan, record)
    model = read_model(folder / "model.safetensors")
    image = make_ct(shape)
    write_nifti(folder / "ct.nii.gz", image.voxels, image.frame)
    print(f"CT {'x'.join(map(str, reversed(shape)))}, {len(plan.structures)} structures at {plan.spacing_mm[0]} mm")
    print(f"before: {peak_gib():.2f} GiB resident")

    organs = Organs(len(plan.structures), round(shape[0] * SPACING_MM[0] / plan.spacing_mm[0]), plan.spacing_mm[0])
    network, planes, pieces = Timed(model.network), TimedPlanes(None if scattered else organs), TimedPieces()
    predict.logit_planes, predict.main_pieces = planes, pieces
    began = time.perf_counter()
    masks = predict.predict_masks(network, plan, image)
    predicted = time.perf_counter()
    predicted_gib = peak_gib()
    write_prediction(folder, ImageFile("case", folder / "ct.nii.gz"), image, masks, model, label_map=False)
    written = time.perf_counter()
    written_gib = peak_gib()
    bare_s = run_bare(model.network, plan, network.windows)

    drawn_s = organs.seconds  # is no part of a prediction
    gridded_s = predicted - planes.began - planes.seconds - pieces.seconds - drawn_s
    filled = np.mean(list(masks.voxels().values())) / image.voxels.size
    print(f"each structure fills {filled:.2%} of the image; {network.windows} windows\n")
    print("                                   seconds   to the bare network")
    for what, seconds in (
        ("bare network on the same windows", bare_s),
        ("bring the image onto the plan's grid", planes.began - began),
        ("network", network.seconds),
        ("weigh and add up windows", planes.seconds - network.seconds),
        ("post-processing: back to the CT's grid", gridded_s),
        ("post-processing: main pieces", pieces.seconds),
        ("prediction, all of it", predicted - began - drawn_s),
        ("write the masks", written - predicted),
    ):
        print(f"{what:40}{seconds:7.1f}{seconds / bare_s:8.2f}")
    share = (gridded_s + pieces.seconds + written - predicted) / (written - began - drawn_s)
    print(f"\npeak {predicted_gib:.2f} GiB after prediction")
    return [
        Figure("prediction, peak memory", written_gib, 4.0, "GiB"),
        Figure("post-processing and writing to the whole prediction: time", share, 0.25),
    ]


def run_bare(network: SegmentationNetwork, plan: Plan, windows: int) -> float:
    """Seconds of nothing but the network."""
    window = torch.zeros(1, plan.input_channels, *plan.patch_size)
    began = time.perf_counter()
    with torch.inference_mode():
        for _ in range(windows):
            network(window)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
