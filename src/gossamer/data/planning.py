"""From the merged fingerprint to the plan: a pure function, so that every site finds the same plan alone.

Everything that is chosen is computed in whole numbers (spacing in bins of 1/20 mm, extent in mm, counts), so that
no rounding differs between machines. Words and aims as in nnU-Net (Isensee et al., Nature Methods 18, 203-211,
2021); the rules are simpler:

1. Spacing: the median per axis. If the median case would then hold more than ``case_voxels``, the finest axis is
   coarsened until it fits, which also makes voxels more alike along the axes.
2. Patch: the aspect of the median case, as many voxels as ``patch_voxels`` allows, each axis a multiple of the
   network's total stride along it.
3. Strides: each level halves every axis that has enough voxels, except a slice axis far coarser than the others.
4. Intensity: window between the 0.5th and 99.5th percentiles of the foreground; mean and spread within it.
5. Pieces: a structure that is one organ in one piece by anatomy (``data.tg263``) keeps its mask's main piece only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from gossamer.data.fingerprint import SPACING_BINS_PER_MM, Fingerprint, Histogram, mean_and_sd, percentile
from gossamer.data.plan import NetworkName, NetworkPlan, Plan
from gossamer.data.tg263 import STRUCTURES
from gossamer.errors import PlanError
from gossamer.units import ZYX, ShapeZYX

WINDOW_PER_MILLE = (5, 995)
"""nnU-Net's percentiles for CT."""

ANISOTROPY = 2
"""An axis whose voxels are longer than this many times the shortest is not halved with the others: a 3-voxel kernel
already reaches as far along it (nnU-Net)."""

MAX_OVERLAP = 0.875
"""Of windows: beyond it each voxel is computed more than 512 times, and nothing is gained."""

SMALLEST_LEVEL = 4
"""Voxels along an axis below which halving it further leaves nothing to convolve."""


@dataclass(frozen=True)
class PlanRules:
    """What is agreed beforehand; the rest follows from the data.

    Attributes:
        network: a key of ``gossamer.nets.NETWORKS``.
        channels: feature maps at each level, from full resolution down.
        patch_voxels: most voxels of a patch; what memory and time of a step grow with.
        case_voxels: most voxels of the median case; what a patch must be a fair part of.
        spacing_mm: takes the place of rule 1 where given.
        patch_size: takes the place of rule 2 where given.
        window_hu: takes the place of rule 4's percentiles where given; mean and spread are taken within it.
        position_channels: whether the network is told where in the body a voxel lies.
        one_piece: takes the place of rule 5 where given; an empty list keeps every voxel found.
        overlap: least part of a sliding window that the next one repeats, when a CT is predicted; up to 0.875. Three
            quarters instead of half take eight times as long, and are a little better.
    """

    network: NetworkName = "unet"
    channels: tuple[int, ...] = (24, 48, 96, 192)
    patch_voxels: int = 48**3
    case_voxels: int = 2**20
    spacing_mm: ZYX | None = None
    patch_size: ShapeZYX | None = None
    window_hu: tuple[int, int] | None = None
    position_channels: bool = True
    one_piece: tuple[str, ...] | None = None
    overlap: float = 0.5


DEFAULT_RULES = PlanRules()


def plan_from_fingerprint(
    fingerprint: Fingerprint, structures: Sequence[str], rules: PlanRules = DEFAULT_RULES
) -> Plan:
    """The plan for these data.

    Args:
        fingerprint: of the training cases of all sites, merged.
        structures: output channels in this order (TG-263 names).
        rules: what is agreed beforehand.

    Raises:
        PlanError: the fingerprint is empty, names no case for a structure, or the rules contradict each other.
    """
    _require_annotated(fingerprint, structures)
    low, high = rules.window_hu or [percentile(fingerprint.hu, p) for p in WINDOW_PER_MILLE]
    if rules.window_hu and low >= high:
        raise PlanError(f"wanted a window from low to high; found {low} to {high} HU; correct the plan's window_hu")
    mean, sd = mean_and_sd(fingerprint.hu, low, high)
    if sd == 0:
        raise PlanError(f"wanted a foreground with contrast; found {low} HU throughout; are the images in HU?")
    extent_mm = _per_axis(fingerprint.extent)
    bins = _spacing_bins(_per_axis(fingerprint.spacing), extent_mm, rules)
    shape = _case_shape(extent_mm, bins)
    roughly = rules.patch_size or _grown_patch(shape, (1, 1, 1), rules.patch_voxels)
    strides = _strides(roughly, bins, len(rules.channels) - 1)
    total_stride = _product(strides)
    if rules.patch_size and any(n % k for n, k in zip(rules.patch_size, total_stride, strict=True)):
        raise PlanError(
            f"wanted a patch that {len(rules.channels)} levels can halve; found {rules.patch_size} voxels (z, y, x); "
            f"choose multiples of {total_stride}"
        )
    return Plan(
        structures=tuple(structures),
        spacing_mm=rules.spacing_mm or _as_mm(bins),
        patch_size=rules.patch_size or _grown_patch(shape, total_stride, rules.patch_voxels),
        hu_low=float(low),
        hu_high=float(high),
        hu_mean=mean,
        hu_sd=sd,
        position_channels=rules.position_channels,
        one_piece=_one_piece(structures, rules),
        overlap=_overlap(rules),
        network=NetworkPlan(rules.network, rules.channels, strides),
    )


def _require_annotated(fingerprint: Fingerprint, structures: Sequence[str]) -> None:
    never = [name for name in structures if not fingerprint.annotated.get(name)]
    if not structures or never:
        raise PlanError(
            f"wanted structures that some training case was drawn for; found none for {never or 'an empty list'} "
            f"(drawn: {', '.join(sorted(fingerprint.annotated)) or 'nothing'}); take them out of the study's structures"
        )


def _one_piece(structures: Sequence[str], rules: PlanRules) -> tuple[str, ...]:
    """The structures of rule 5, in the order of all."""
    if rules.one_piece is None:
        return tuple(name for name in structures if name in STRUCTURES and STRUCTURES[name].one_piece)
    if foreign := sorted(set(rules.one_piece) - set(structures)):
        raise PlanError(
            f"wanted structures of the label space in the plan's one_piece; found {', '.join(foreign)}; "
            f"choose among {', '.join(structures)}"
        )
    return tuple(name for name in structures if name in rules.one_piece)


def _overlap(rules: PlanRules) -> float:
    if not 0 <= rules.overlap <= MAX_OVERLAP:
        raise PlanError(
            f"wanted windows that overlap by 0 to {MAX_OVERLAP} of their length; found {rules.overlap}; "
            "correct the plan's overlap"
        )
    return float(rules.overlap)


def _per_axis(histograms: tuple[Histogram, Histogram, Histogram]) -> tuple[int, int, int]:
    z, y, x = (percentile(h, 500) for h in histograms)
    return z, y, x


def _spacing_bins(median: ShapeZYX, extent_mm: ShapeZYX, rules: PlanRules) -> ShapeZYX:
    if rules.spacing_mm is not None:
        z, y, x = (max(1, round(s * SPACING_BINS_PER_MM)) for s in rules.spacing_mm)
        return z, y, x
    bins = list(median)
    while prod(_case_shape(extent_mm, bins)) > rules.case_voxels:
        bins[bins.index(min(bins))] += 1
    return bins[0], bins[1], bins[2]


def _case_shape(extent_mm: ShapeZYX, bins: Sequence[int]) -> ShapeZYX:
    z, y, x = (max(1, e * SPACING_BINS_PER_MM // b) for e, b in zip(extent_mm, bins, strict=True))
    return z, y, x


def _strides(patch: ShapeZYX, bins: ShapeZYX, halvings: int) -> tuple[ShapeZYX, ...]:
    """Strides level by level, following a patch and its voxels' size down."""
    left, size = list(patch), list(bins)
    levels = []
    for _ in range(halvings):
        longest = ANISOTROPY * min(size)
        z, y, x = (2 if n >= 2 * SMALLEST_LEVEL and s <= longest else 1 for n, s in zip(left, size, strict=True))
        levels.append((z, y, x))
        left = [n // k for n, k in zip(left, levels[-1], strict=True)]
        size = [s * k for s, k in zip(size, levels[-1], strict=True)]
    return tuple(levels)


def _product(strides: tuple[ShapeZYX, ...]) -> ShapeZYX:
    z, y, x = (prod(level[axis] for level in strides) for axis in range(3))
    return z, y, x


def _grown_patch(shape: ShapeZYX, step: ShapeZYX, most_voxels: int) -> ShapeZYX:
    """Grow the axis that covers the least of the case, one step at a time, while the budget lasts."""
    patch = list(step)
    while True:
        growable = [
            axis
            for axis in range(3)
            if patch[axis] < shape[axis] and prod(patch) // patch[axis] * (patch[axis] + step[axis]) <= most_voxels
        ]
        if not growable:
            return patch[0], patch[1], patch[2]
        # the least patch[axis] / shape[axis], compared in whole numbers
        axis = min(growable, key=lambda a: patch[a] * (prod(shape) // shape[a]))
        patch[axis] += step[axis]


def _as_mm(bins: ShapeZYX) -> ZYX:
    z, y, x = (b / SPACING_BINS_PER_MM for b in bins)
    return z, y, x
