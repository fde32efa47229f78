"""Plain values with tensors in them as one safetensors frame, for what a site keeps for itself.

Values are None, booleans, numbers, text, bytes, tensors, sequences (they come back as tuples), mappings, and frozen
dataclasses of kinds that the caller lists: no other class is ever made, so reading runs no code. A tensor that occurs
several times is written once, and is one tensor again after reading. A SHA-256 of everything stands in the header, so
that no flipped bit is taken for a value.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor

from gossamer.errors import StorageError, WireError
from gossamer.wire.frame import Buffer, Frame, build_frame, read_header, read_tensors

Kinds = Collection[type]


def pack(value: Any, kinds: Kinds) -> Frame:
    """Write a value; contiguous CPU tensors are not copied.

    Raises:
        TypeError: it holds something else than plain values, tensors and ``kinds``.
    """
    packer = _Packer(kinds)
    text = json.dumps(packer.plain(value), separators=(",", ":"))
    return build_frame({"sha256": _sha256(text, packer.tensors), "value": text}, packer.tensors)


def unpack(data: Frame | Buffer, kinds: Kinds) -> Any:
    """Read what ``pack`` wrote.

    Raises:
        StorageError: the data is damaged, or of another version.
    """
    by_name = {kind.__name__: kind for kind in kinds}
    try:
        header = read_header(data, data.size_bytes if isinstance(data, Frame) else len(data))
        text, tensors = header.metadata["value"], read_tensors(data, header)
        if header.metadata["sha256"] != _sha256(text, tensors):
            raise ValueError("another SHA-256 than the one it bears")
        return _value(json.loads(text), tensors, by_name)
    except (WireError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise StorageError(
            f"wanted values that this version of Gossamer wrote; found: {str(error)[:200]}; "
            "the file is damaged or of another version: remove it to begin anew"
        ) from error


def _sha256(text: str, tensors: Mapping[str, Tensor]) -> str:
    """Of the frame that holds all but this sum itself: names, dtypes and shapes are in it, not numbers alone."""
    digest = hashlib.sha256()
    for piece in build_frame({"value": text}, tensors).pieces():
        digest.update(piece)
    return digest.hexdigest()


class _Packer:
    """Collects tensors while it makes a value plain."""

    def __init__(self, kinds: Kinds) -> None:
        self._kinds = frozenset(kinds)
        self._names: dict[tuple[Any, ...], str] = {}
        self.tensors: dict[str, Tensor] = {}

    def plain(self, value: Any) -> Any:
        """What JSON can hold: containers and classes become objects with one key that says which."""
        match value:
            case None | bool() | int() | float() | str():
                return value
            case bytes():
                return {"bytes": value.hex()}
            case Tensor():
                return {"tensor": self._name(value)}
            case Mapping():
                return {"map": [[self.plain(key), self.plain(each)] for key, each in value.items()]}
            case Sequence():
                return [self.plain(each) for each in value]
        if is_dataclass(value) and type(value) in self._kinds:
            return {type(value).__name__: [self.plain(getattr(value, field.name)) for field in fields(value)]}
        raise TypeError(f"wanted a plain value; found {type(value).__name__}; add it to the kinds")

    def _name(self, tensor: Tensor) -> str:
        """The same memory seen the same way is the same tensor."""
        seen_as = (tensor.device, tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride())
        name = self._names.setdefault(seen_as, f"{len(self._names):06d}")
        self.tensors.setdefault(name, tensor)
        return name


def _value(plain: Any, tensors: Mapping[str, Tensor], kinds: Mapping[str, type]) -> Any:
    match plain:
        case list():
            return tuple(_value(each, tensors, kinds) for each in plain)
        case {"bytes": text}:
            return bytes.fromhex(text)
        case {"tensor": name}:
            return tensors[name]
        case {"map": pairs}:
            return {_value(key, tensors, kinds): _value(each, tensors, kinds) for key, each in pairs}
        case dict():
            [(name, contents)] = plain.items()
            return kinds[name](*(_value(each, tensors, kinds) for each in contents))
    return plain
