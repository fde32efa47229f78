"""What is known of a model's tensors, remembered while they live; above all their SHA-256, made once for all peers.

Law: what is recalled is what hashing anew would give. Only the very same tensors in the same order count, unchanged
since (PyTorch's version counter). Nothing is kept alive.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from weakref import ReferenceType, ref

import torch
from torch import Tensor

Value = TypeVar("Value")

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


class Remembered(Generic[Value]):
    """Something that is known of tensors."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._known: dict[tuple[int, ...], tuple[tuple[_Seen, ...], Value]] = {}

    def recall(self, them: Sequence[Hashed]) -> Value | None:
        """What is known of them, if they are the very same and unchanged."""
        seen, value = self._known.get(_key(them), ((), None))
        return value if seen and all(map(_Seen.is_still, seen, them)) else None

    def note(self, them: Sequence[Hashed], value: Value) -> None:
        """Remember it until one of them is gone."""
        if not them or any(isinstance(each, Tensor) and each.is_inference() for each in them):
            return  # the latter count no versions
        key = _key(them)

        def forget(_: object) -> None:
            self._known.pop(key, None)

        self._known[key] = tuple(_Seen(ref(each, forget), _version(each)) for each in them), value


_SHA256 = Remembered[bytes]()


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
    return _SHA256.recall(them)


def note_sha256(them: Sequence[Hashed], digest: bytes) -> None:
    """Remember a sum that was found otherwise."""
    _SHA256.note(them, digest)


def bytes_of(tensor: Tensor) -> memoryview:
    """The memory of a contiguous tensor."""
    return tensor.reshape(-1).view(torch.uint8).numpy().data


def _key(them: Sequence[Hashed]) -> tuple[int, ...]:
    return tuple(map(id, them))


def _version(it: Hashed) -> int:
    return it._version if isinstance(it, Tensor) else 0
