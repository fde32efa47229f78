"""The plan: everything about preprocessing, network and the making of masks that all sites must do alike.

A plan is data, never code, and a pure function of the merged fingerprint (``plan_from_fingerprint``). Its
hash is what sites compare. Words as in nnU-Net: fingerprint, plan, patch.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from math import prod
from typing import Any, Literal, TypeVar

from gossamer.errors import PlanError
from gossamer.units import ZYX, ShapeZYX

PLAN_FORMAT = 2
"""Since 2 a plan says how masks are made (``SINCE_2``). One of format 1 means what releases did then: the defaults."""

SINCE_2 = frozenset(("one_piece", "overlap"))
"""Keys that format 1 has not."""

T = TypeVar("T", int, float)

NetworkName = Literal["unet", "dynunet", "segresnet", "sanet"]


@dataclass(frozen=True)
class NetworkPlan:
    """Which network, and its size.

    Attributes:
        name: a key of ``gossamer.nets.NETWORKS``.
        channels: feature maps at each level, from full resolution down.
        strides: down-sampling (z, y, x) from each level to the next; one fewer than ``channels``.
    """

    name: NetworkName
    channels: tuple[int, ...]
    strides: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Plan:
    """Preprocessing, network and the making of masks, agreed by all sites.

    Attributes:
        structures: one output channel each, in this order (TG-263 names).
        spacing_mm: target spacing along z, y, x.
        patch_size: voxels along z, y, x of a training patch and of the sliding window.
        hu_low: intensities below are clipped to it.
        hu_high: intensities above are clipped to it.
        hu_mean: subtracted after clipping.
        hu_sd: divided by afterwards.
        position_channels: whether in-plane position relative to the body's centre is fed to the network
            beside the intensity.
        network: which network, and its size.
        one_piece: the structures whose masks keep their main piece only (``gossamer.segment.pieces``).
        overlap: least part of a sliding window that the next one repeats, when a CT is predicted.
        format: version of this description; what is read keeps its own, and with it its hash.
    """

    structures: tuple[str, ...]
    spacing_mm: ZYX
    patch_size: ShapeZYX
    hu_low: float
    hu_high: float
    hu_mean: float
    hu_sd: float
    position_channels: bool
    network: NetworkPlan
    one_piece: tuple[str, ...] = ()
    overlap: float = 0.5
    format: int = PLAN_FORMAT

    def to_json(self) -> str:
        """Canonical JSON: the same plan gives the same text at every site."""
        raw = asdict(self)
        if self.format == 1:
            raw = {key: value for key, value in raw.items() if key not in SINCE_2}
        return json.dumps(raw, sort_keys=True, separators=(",", ":"), allow_nan=False)

    @property
    def input_channels(self) -> int:
        """Channels the network reads: intensity, and position where the plan has it."""
        return 1 + (2 if self.position_channels else 0)

    @property
    def total_stride(self) -> ShapeZYX:
        """Voxels along z, y, x that one voxel of the network's deepest level stands for; patches are multiples."""
        z, y, x = (prod(stride[axis] for stride in self.network.strides) for axis in range(3))
        return z, y, x

    @property
    def hash(self) -> str:
        """SHA-256 (hex) of the canonical JSON."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read a plan.

        Raises:
            PlanError: the text is not a plan of a format known here.
        """
        try:
            raw: dict[str, Any] = json.loads(text)
            _require_format(raw)
            network = raw.pop("network")
            plan = cls(
                structures=tuple(raw.pop("structures")),
                spacing_mm=_three(raw.pop("spacing_mm"), float),
                patch_size=_three(raw.pop("patch_size"), int),
                network=NetworkPlan(
                    name=network["name"],
                    channels=tuple(network["channels"]),
                    strides=tuple(_three(s, int) for s in network["strides"]),
                ),
                one_piece=tuple(raw.pop("one_piece", ())),
                **raw,
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise PlanError(f"wanted a plan of format {PLAN_FORMAT}; found text that is none: {error}") from error
        return plan


def _require_format(raw: dict[str, Any]) -> None:
    found = raw.get("format")
    if found not in (1, PLAN_FORMAT):
        raise PlanError(
            f"wanted a plan of format {PLAN_FORMAT}; found format {found!r:.20}; "
            "use the release of Gossamer that wrote it, or a newer one"
        )
    if SINCE_2 & raw.keys() != (SINCE_2 if found == PLAN_FORMAT else set()):
        raise PlanError(
            f"wanted {' and '.join(sorted(SINCE_2))} in a plan of format 2, and not in format 1; found other keys in "
            f"one of format {found}; it was put together wrongly: ask where it came from"
        )


def _three(values: Any, kind: type[T]) -> tuple[T, T, T]:
    a, b, c = values
    return kind(a), kind(b), kind(c)
