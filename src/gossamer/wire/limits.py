"""What a message may hold at most; checked on what a frame says of itself, before memory is taken."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from gossamer.gossip.algorithm import Mass, Params

ENVELOPE_BYTES = 16384
"""Room in a header for everything but what grows with the network: addresses, kind, version, counts, padding."""

ENTRY_BYTES = 512
"""Room for one tensor's dtype, shape and offsets in digits."""

NUMBER_BYTES = 40
"""Room for one mass in hexadecimal digits (27 at most), with its quotation marks."""

NOTICE_BYTES = 2**20
"""Longest content of a notice. A fingerprint with every bin of every histogram filled has half of that."""

ESCAPED = 14
"""JSON in JSON writes a character in at most so many bytes."""


@dataclass(frozen=True)
class Limits:
    """What a share of this federation's network looks like; ``Limits({}, {})`` while that is not known.

    Attributes:
        tensors: dtype and shape of every parameter, by name; a share has these and no others.
        rows: length of every row of masses, by the tensor's name.
    """

    tensors: Mapping[str, tuple[torch.dtype, tuple[int, ...]]]
    rows: Mapping[str, int]

    @classmethod
    def of(cls, params: Params, own: Mass) -> Limits:
        """The limits that fit a site's own parameters and mass: all sites have the same network."""
        return cls(
            {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in params.items()},
            {name: len(row) for name, row in own.rows.items()},
        )

    @property
    def header_bytes(self) -> int:
        """Longest header that a valid message can have."""
        names = sum(ESCAPED * len(name) for name in (*self.tensors, *self.rows))
        return ENVELOPE_BYTES + names + ENTRY_BYTES * len(self.tensors) + NUMBER_BYTES * (1 + sum(self.rows.values()))

    @property
    def frame_bytes(self) -> int:
        """Longest frame that a valid message can have; a transport reads no more than that."""
        share_bytes = sum(dtype.itemsize * math.prod(shape) for dtype, shape in self.tensors.values())
        return self.header_bytes + max(share_bytes, NOTICE_BYTES)
