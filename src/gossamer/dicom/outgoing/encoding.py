"""Data sets as the bytes of a file, and read again from these: what was copied from a CT stays as it is.

Law: pydicom's warnings of what a CT has against the standard go nowhere: they repeat pieces of it, and it is copied.
"""

from __future__ import annotations

import io
import warnings

import pydicom
from pydicom.charset import convert_encodings, default_encoding
from pydicom.dataset import Dataset, FileDataset


def encoded(file: FileDataset) -> bytes:
    """A file in Implicit VR Little Endian, as its File Meta Information says."""
    with io.BytesIO() as buffer, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        keep_bytes(file)
        file.save_as(buffer, enforce_file_format=True)
        return buffer.getvalue()


def read_again(content: bytes) -> FileDataset:
    """A file from what ``encoded`` made of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return pydicom.dcmread(io.BytesIO(content))


def keep_bytes(data: Dataset) -> None:
    """Let pydicom write elements given as bytes as they are, not as it understands them."""
    charset = data.get("SpecificCharacterSet")
    data.set_original_encoding(True, True, convert_encodings(charset) if charset else default_encoding)
