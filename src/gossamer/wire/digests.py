"""SHA-256 of a model's tensors, remembered while they live: hashed once, not for each peer, file and log.

Law: what is recalled is what hashing anew would give. Only the very same tensors in the same order count, unchanged
since (PyTorch's version counter). Nothing is kept alive.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from weakref import ReferenceType, ref

import torch
from torch import Tensor

Hashed = Tensor | memoryview
"""A tensor; or a whole frame that came in, which stands for the tensors in its body."""


@dataclass(frozen=True)
class _Seen:
    """Something as it was when it was hashed."""

    it: ReferenceType[Hashed]
    version: int

    def is_still(self, other: Hashed) -> bool:
        """Whether ``other`` is that, unchanged."""
        return self.it() is other and self.version == _version(other)


_Known = dict[tuple[int, ...], tuple[tuple[_Seen, ...], bytes]]
_KNOWN: _Known = {}


def sha256_of(tensors: Sequence[Tensor]) -> bytes:
    """Of the tensors' bytes, back to back.

    Args:
        tensors: contiguous, on the CPU, never changed in place.
    """
    known = recalled_sha256(tensors)
    if known is not None:
        return known
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(bytes_of(tensor))
    note_sha256(tensors, digest.digest())
    return digest.digest()


def recalled_sha256(them: Sequence[Hashed]) -> bytes | None:
    """The sum, if it is known already."""
    seen, digest = _KNOWN.get(_key(them), ((), None))
    return digest if digest and all(map(_Seen.is_still, seen, them)) else None


def note_sha256(them: Sequence[Hashed], digest: bytes) -> None:
    """Remember a sum that was found otherwise, until one of them is gone."""
    if not them or any(isinstance(each, Tensor) and each.is_inference() for each in them):
        return  # the latter count no versions
    key = _key(them)

    def forget(_: object) -> None:
        _KNOWN.pop(key, None)

    _KNOWN[key] = tuple(_Seen(ref(each, forget), _version(each)) for each in them), digest


def bytes_of(tensor: Tensor) -> memoryview:
    """The memory of a contiguous tensor."""
    return tensor.reshape(-1).view(torch.uint8).numpy().data


def _key(them: Sequence[Hashed]) -> tuple[int, ...]:
    return tuple(map(id, them))


def _version(it: Hashed) -> int:
    return it._version if isinstance(it, Tensor) else 0
