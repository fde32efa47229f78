"""The safetensors format, written and read without copying, and checked before memory is taken.

A frame is 8 bytes (little-endian length N), N bytes of JSON, then the tensors' bytes back to back. The JSON maps each
tensor's name to dtype, shape and offsets; its key ``__metadata__`` maps strings to strings. Any safetensors library
reads it. It is written here because the library copies, orders keys at random, and takes memory before it can be told
what to expect.

Source: https://github.com/huggingface/safetensors, section "Format".
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from gossamer.errors import WireError
from gossamer.wire.digests import bytes_of, note_sha256, recalled_sha256, sha256_of

DTYPES: Mapping[str, torch.dtype] = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}

METADATA = "__metadata__"
LENGTH_BYTES = 8
MAX_AXES = 8
MAX_EXTENT = 2**40
"""Bounds on a shape, so that multiplying it out is cheap; networks have five axes at most."""

Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True, eq=False)
class Frame:
    """Bytes that are not yet in one piece.

    Attributes:
        header: the length and the JSON.
        tensors: what follows, in this order; contiguous, on the CPU, never changed in place.
    """

    header: bytes
    tensors: tuple[Tensor, ...]

    @property
    def size_bytes(self) -> int:
        """Length of the whole."""
        return len(self.header) + self.body_bytes

    @property
    def body_bytes(self) -> int:
        """Length of what follows the header."""
        return sum(tensor.nbytes for tensor in self.tensors)

    @cached_property
    def body_sha256(self) -> bytes:
        """Of what follows the header; a share that is sent again has the same body under another header."""
        return sha256_of(self.tensors)

    def pieces(self) -> Iterator[bytes | memoryview]:
        """The frame in order; tensors as views of their own memory."""
        yield self.header
        yield from map(bytes_of, self.tensors)

    def to_bytes(self) -> bytes:
        """The frame in one piece: a copy."""
        return b"".join(self.pieces())


@dataclass(frozen=True)
class Entry:
    """What a header says of one tensor; ``begin`` and ``end`` are offsets into the body, in bytes."""

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True)
class Header:
    """A header that fits its frame: the entries, in order, fill the body without gap or overlap."""

    size_bytes: int
    metadata: Mapping[str, str]
    entries: tuple[Entry, ...]


def build_frame(metadata: Mapping[str, str], tensors: Mapping[str, Tensor]) -> Frame:
    """Put tensors behind a header. The same arguments give the same bytes; contiguous CPU tensors are not copied.

    Raises:
        TypeError: a tensor is of a dtype that is not in ``DTYPES``.
        ValueError: a tensor bears the metadata's name.
    """
    if METADATA in tensors:
        raise ValueError(f"wanted tensors; found one named '{METADATA}', as the format names its metadata; rename it")
    laid: list[Tensor] = []
    document: dict[str, Any] = {METADATA: dict(metadata)}
    end = 0
    # Wide numbers first, as the library has it: then each tensor is aligned to its own width.
    for name, tensor in sorted(tensors.items(), key=lambda item: (-item[1].element_size(), item[0])):
        if tensor.dtype not in _NAMES:
            raise TypeError(f"wanted a dtype among {', '.join(DTYPES)}; found {tensor.dtype} in {name!a}; convert it")
        flat = _plain(tensor)
        begin, end = end, end + flat.nbytes
        document[name] = {"dtype": _NAMES[flat.dtype], "shape": list(flat.shape), "data_offsets": [begin, end]}
        laid.append(flat)
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % LENGTH_BYTES)
    return Frame(len(text).to_bytes(LENGTH_BYTES, "little") + text, tuple(laid))


def read_header(data: Frame | Buffer, max_header_bytes: int) -> Header:
    """Read and check what a frame says of itself, before any memory is taken for tensors.

    Args:
        data: the frame.
        max_header_bytes: length and JSON together may not be longer.

    Raises:
        WireError: it is not a frame, or does not fill its length exactly.
    """
    start = data.header if isinstance(data, Frame) else data
    length = int.from_bytes(start[:LENGTH_BYTES], "little")
    size_bytes = LENGTH_BYTES + length
    if size_bytes > max_header_bytes or size_bytes > len(start):
        raise wire_error("length", f"a header of at most {min(max_header_bytes, len(start))} bytes", size_bytes)
    document = parse_object(bytes(start[LENGTH_BYTES:size_bytes]), "header")
    metadata = document.pop(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise wire_error(METADATA, "text by name", metadata)
    entries = sorted(
        (_entry(name, said) for name, said in document.items()), key=lambda entry: (entry.begin, entry.end)
    )
    body_bytes = data.body_bytes if isinstance(data, Frame) else len(data) - size_bytes
    end = 0
    for entry in entries:
        if entry.begin != end:
            raise wire_error(entry.name, f"data_offsets that begin at {end}, where the tensor before ends", entry.begin)
        end = entry.end
    if end != body_bytes:
        raise wire_error("data_offsets", f"tensors that fill the {body_bytes} bytes after the header", end)
    return Header(size_bytes, metadata, tuple(entries))


def read_tensors(data: Frame | Buffer, header: Header) -> dict[str, Tensor]:
    """The tensors of a frame whose header was checked.

    They share the memory of ``data`` where it may be written to; from read-only memory they are copied, since torch
    knows no read-only tensors.
    """
    if isinstance(data, Frame):
        laid = zip(header.entries, data.tensors, strict=True)
        return {entry.name: _handed_over(entry, tensor) for entry, tensor in laid}
    body = memoryview(data)[header.size_bytes :]
    bodies = [body[entry.begin : entry.end] for entry in header.entries]
    tensors = {entry.name: _tensor(entry, piece) for entry, piece in zip(header.entries, bodies, strict=True)}
    if isinstance(data, memoryview) and (sha256 := recalled_sha256([data])) is not None:
        note_sha256(list(tensors.values()), sha256)
    return tensors


def parse_object(text: str | bytes, field: str) -> dict[str, Any]:
    """Read a JSON object from outside: UTF-8, no name twice, no NaN.

    Raises:
        WireError: it is none.
    """
    try:
        # Of bytes ``json.loads`` would guess the encoding, and so read frames that other libraries do not.
        said = text if isinstance(text, str) else text.decode()
        document = json.loads(said, object_pairs_hook=_each_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise wire_error(field, "JSON", text) from error
    if not isinstance(document, dict):
        raise wire_error(field, "a JSON object", document)
    return document


def wire_error(field: str, wanted: str, found: object) -> WireError:
    """The error for one field of a frame; what was found is shortened, and shown in plain ASCII."""
    return WireError(
        f"{field[:60]!a}: wanted {wanted}; found {found!a:.60}, in a frame; the frame is dropped, ask its sender"
    )


def _entry(name: str, said: Any) -> Entry:
    if not isinstance(said, dict) or said.keys() != {"dtype", "shape", "data_offsets"}:
        raise wire_error(name, "dtype, shape and data_offsets", said)
    dtype = DTYPES.get(said["dtype"]) if isinstance(said["dtype"], str) else None
    if dtype is None:
        raise wire_error(name, f"a dtype among {', '.join(DTYPES)}", said["dtype"])
    shape, offsets = said["shape"], said["data_offsets"]
    if not _are_extents(shape) or len(shape) > MAX_AXES:
        raise wire_error(name, f"a shape of at most {MAX_AXES} whole numbers", shape)
    size_bytes = math.prod(shape) * dtype.itemsize
    if not _are_extents(offsets) or len(offsets) != 2 or offsets[1] - offsets[0] != size_bytes:
        raise wire_error(name, f"data_offsets {size_bytes} apart", offsets)
    return Entry(name, dtype, tuple(shape), offsets[0], offsets[1])


def _are_extents(numbers: Any) -> bool:
    return isinstance(numbers, list) and all(type(n) is int and 0 <= n <= MAX_EXTENT for n in numbers)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a name stands twice")
    return document


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


def _handed_over(entry: Entry, tensor: Tensor) -> Tensor:
    """The very tensor, so that what is known of it (``gossip.memo``) stays known."""
    same = (tensor.dtype, tuple(tensor.shape)) == (entry.dtype, entry.shape)
    return tensor if same else _tensor(entry, bytes_of(tensor))


def _plain(tensor: Tensor) -> Tensor:
    """Contiguous, on the CPU, without a gradient: itself, if it is so."""
    is_plain = tensor.device.type == "cpu" and not tensor.requires_grad and tensor.is_contiguous()
    return tensor if is_plain else tensor.detach().cpu().contiguous()


def _tensor(entry: Entry, piece: memoryview) -> Tensor:
    if not piece:
        return torch.empty(entry.shape, dtype=entry.dtype)
    return torch.frombuffer(bytearray(piece) if piece.readonly else piece, dtype=entry.dtype).reshape(entry.shape)
