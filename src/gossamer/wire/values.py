"""Plain values with tensors in them as one safetensors frame, for what a site keeps for itself.

Values are None, booleans, numbers, text, bytes, tensors, sequences (they come back as tuples), mappings, and frozen
dataclasses of kinds that the caller lists: no other class is ever made, so reading runs no code. A tensor that occurs
several times is written once, and is one tensor again after reading. A SHA-256 of everything stands in the header, so
that no flipped bit is taken for a value.

Mappings of tensors by name, such as a network's parameters, may be kept elsewhere: then a reference to each stands in
the frame, and whoever keeps them vouches that it stands for the same bits.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor

from gossamer.errors import StorageError, WireError
from gossamer.wire.frame import Buffer, Frame, build_frame, read_header, read_tensors

Kinds = Collection[type]

Keep = Callable[[Mapping[str, Tensor]], str]
"""Keeps tensors elsewhere; returns a reference to them."""

Fetch = Callable[[str], Mapping[str, Tensor]]
"""The tensors to which a reference was given; raises ``StorageError`` where they are not what they were."""


def pack(value: Any, kinds: Kinds, keep: Keep | None = None) -> Frame:
    """Write a value; contiguous CPU tensors are not copied.

    Args:
        value: to write.
        kinds: classes that may be in it.
        keep: given each mapping of tensors by name; without it they stand in the frame like all else.

    Raises:
        TypeError: it holds something else than plain values, tensors and ``kinds``.
    """
    packer = _Packer(kinds, keep)
    text = json.dumps(packer.plain(value), separators=(",", ":"))
    return build_frame({"sha256": _sha256(text, packer.tensors), "value": text}, packer.tensors)


def unpack(data: Frame | Buffer, kinds: Kinds, fetch: Fetch | None = None) -> Any:
    """Read what ``pack`` wrote.

    Args:
        data: a whole frame.
        kinds: classes that may be in it.
        fetch: gives what ``keep`` kept elsewhere.

    Raises:
        StorageError: the data is damaged, or of another version.
    """
    by_name = {kind.__name__: kind for kind in kinds}
    try:
        header = read_header(data, data.size_bytes if isinstance(data, Frame) else len(data))
        text, tensors = header.metadata["value"], read_tensors(data, header)
        if header.metadata["sha256"] != _sha256(text, tensors):
            raise ValueError("another SHA-256 than the one it bears")
        return _Unpacker(tensors, by_name, fetch).value(json.loads(text))
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

    def __init__(self, kinds: Kinds, keep: Keep | None) -> None:
        self._kinds = frozenset(kinds)
        self._keep = keep
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
                return self._mapping(value)
            case Sequence():
                return [self.plain(each) for each in value]
        if is_dataclass(value) and type(value) in self._kinds:
            return {type(value).__name__: [self.plain(getattr(value, field.name)) for field in fields(value)]}
        raise TypeError(f"wanted a plain value; found {type(value).__name__}; add it to the kinds")

    def _mapping(self, value: Mapping[Any, Any]) -> Any:
        is_by_name = value and all(isinstance(key, str) and isinstance(each, Tensor) for key, each in value.items())
        if self._keep is not None and is_by_name:
            return {"kept": [self._keep(value), *value]}
        return {"map": [[self.plain(key), self.plain(each)] for key, each in value.items()]}

    def _name(self, tensor: Tensor) -> str:
        """The same memory seen the same way is the same tensor."""
        seen_as = (tensor.device, tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride())
        name = self._names.setdefault(seen_as, f"{len(self._names):06d}")
        self.tensors.setdefault(name, tensor)
        return name


class _Unpacker:
    """Makes values of what ``_Packer`` made plain."""

    def __init__(self, tensors: Mapping[str, Tensor], kinds: Mapping[str, type], fetch: Fetch | None) -> None:
        self._tensors = tensors
        self._kinds = kinds
        self._fetch = fetch

    def value(self, plain: Any) -> Any:
        match plain:
            case list():
                return tuple(map(self.value, plain))
            case dict():
                return self._object(plain)
        return plain

    def _object(self, plain: dict[str, Any]) -> Any:
        match plain:
            case {"bytes": text}:
                return bytes.fromhex(text)
            case {"tensor": name}:
                return self._tensors[name]
            case {"map": pairs}:
                return {self.value(key): self.value(each) for key, each in pairs}
            case {"kept": [reference, *names]} if self._fetch is not None:
                kept = self._fetch(reference)
                return {name: kept[name] for name in names}
        [(name, contents)] = plain.items()
        return self._kinds[name](*map(self.value, contents))
