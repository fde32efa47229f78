"""What was computed of tensors, remembered while they live.

In a simulation all sites share one process, and tensors are handed over uncopied: two sites that swapped halves then
compute the same mean of the very same tensors, and check the same tensors for NaN. Once is enough.

Law: what is recalled has the bits that computing anew would give. Only the very same tensors count, unchanged since
(PyTorch's version counter), and a result that is unchanged itself. Nothing is kept alive.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from weakref import ReferenceType, ref

from torch import Tensor


@dataclass(frozen=True)
class _Seen:
    """A tensor as it was."""

    tensor: ReferenceType[Tensor]
    version: int

    def again(self) -> Tensor | None:
        """The tensor, if it lives and is as it was."""
        tensor = self.tensor()
        return tensor if tensor is not None and tensor._version == self.version else None


class TensorMemo:
    """Results by the identity of what they were computed of."""

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[tuple[_Seen, ...], _Seen]] = {}

    def recall(self, tensors: Sequence[Tensor], detail: Hashable = None) -> Tensor | None:
        """The result for these tensors and ``detail``; None if it is not known."""
        known = self._known.get(_key(tensors, detail))
        if known is None:
            return None
        inputs, result = known
        same = all(seen.again() is tensor for seen, tensor in zip(inputs, tensors, strict=True))
        return result.again() if same else None

    def note(self, tensors: Sequence[Tensor], result: Tensor, detail: Hashable = None) -> None:
        """Remember ``result`` until one of the tensors is gone."""
        if any(tensor.is_inference() for tensor in (*tensors, result)):
            return  # these count no versions
        key = _key(tensors, detail)

        def forget(_: object) -> None:
            self._known.pop(key, None)

        inputs = tuple(_Seen(ref(tensor, forget), tensor._version) for tensor in tensors)
        self._known[key] = inputs, _Seen(ref(result), result._version)

    def __len__(self) -> int:
        return len(self._known)


def _key(tensors: Sequence[Tensor], detail: Hashable) -> Hashable:
    return tuple(map(id, tensors)), detail
