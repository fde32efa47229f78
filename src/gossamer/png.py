"""A grey picture as PNG, in the few lines that it takes.

Source: W3C, Portable Network Graphics (PNG) Specification, third edition, sections 5 and 9 (filter type None).
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray


def grey_png(pixels: NDArray[np.uint8]) -> bytes:
    """Encode a grey picture, uint8 [row, column]."""
    rows, columns = pixels.shape
    filtered = np.concatenate([np.zeros((rows, 1), np.uint8), pixels], axis=1)
    header = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(filtered.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, body) for kind, body in chunks)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
