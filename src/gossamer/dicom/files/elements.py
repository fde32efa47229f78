"""Elements of a data set as plain values, from their bytes.

Values are read from what stands in the file, whatever VR it gives them: one that is absent or broken is None, () or "",
and nothing is completed by a guess.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import cache

from pydicom.charset import convert_encodings, decode_bytes
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.tag import BaseTag, Tag

from gossamer.errors import UnreadableImageError

Numbers = tuple[float, ...]

UNDEFINED_LENGTH = 0xFFFFFFFF
"""Of an element that ends at a delimiter (PS3.5 7.5.2)."""

MAX_VALUE_BYTES = 2**20
"""Of a text or of numbers; the longest that is wanted, offsets of 16,384 planes, takes a quarter. What is read in a
process with bounds goes to one without."""

DECIMAL = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
"""A decimal string (PS3.5 6.2); ``float`` would take nan, inf and 1_0, too."""


def bytes_of(data: Dataset, keyword: str) -> bytes:
    """The bytes of an element; b"" if it is absent or not one that has bytes.

    Raises:
        UnreadableImageError: the file ends within it; pydicom goes on without a word there.
    """
    element = _raw_element(data, keyword)
    if element is None:
        return b""
    check_complete(element)
    return element.value or b""


def check_complete(element: RawDataElement) -> None:
    """Raise UnreadableImageError if the file ends within an element; of some pydicom says nothing."""
    if element.length not in (UNDEFINED_LENGTH, len(element.value or b"")):
        raise UnreadableImageError(
            f"wanted {element.length:,} bytes of element {element.tag}; found {len(element.value or b''):,}, the file "
            "is cut off; copy or export it again"
        )


def _raw_element(data: Dataset, keyword: str) -> RawDataElement | None:
    tag = _tag(keyword)
    element = data.get_item(tag) if tag in data.keys() else None  # noqa: SIM118  `in data` parses the tag once more
    return element if isinstance(element, RawDataElement) else None


@cache
def _tag(keyword: str) -> BaseTag:
    return Tag(keyword)


def _value_of(data: Dataset, keyword: str) -> bytes:
    """The bytes of a text or of numbers; as for :func:`bytes_of`."""
    value = bytes_of(data, keyword)
    if len(value) > MAX_VALUE_BYTES:
        raise UnreadableImageError(
            f"wanted at most {MAX_VALUE_BYTES // 2**20} MiB in element {_tag(keyword)}; found {len(value):,} bytes; "
            "export the file again"
        )
    return value


def ascii_of(data: Dataset, keyword: str) -> str:
    """A UID, code or number as text."""
    return _value_of(data, keyword).decode("ascii", "replace").strip(" \0")


def short_of(data: Dataset, keyword: str, *, signed: bool = False) -> int | None:
    """A number of VR US or SS; which of them a file says need not be the one that its pixels have (PS3.5 A.1)."""
    element, value = _raw_element(data, keyword), bytes_of(data, keyword)
    if element is None or len(value) != 2:
        return None
    return int.from_bytes(value, "little" if element.is_little_endian else "big", signed=signed)


def decimals_of(data: Dataset, keyword: str, count: int) -> Numbers | None:
    """So many decimal numbers; None unless all are there and finite."""
    texts = [text.strip(b" \0") for text in _value_of(data, keyword).split(b"\\")]
    if len(texts) != count or not all(DECIMAL.fullmatch(text) for text in texts):
        return None
    numbers = tuple(float(text) for text in texts)
    return numbers if all(map(math.isfinite, numbers)) else None


def whole_number_of(data: Dataset, keyword: str) -> int | None:
    """A whole number; 3.0 is one, too."""
    numbers = decimals_of(data, keyword, 1)
    return int(numbers[0]) if numbers and numbers[0].is_integer() else None


def text_of(data: Dataset, keyword: str) -> str:
    """A text; without a character set UTF-8 if it is that, else Latin 1; what cannot be decoded is replaced."""
    return decoded(_value_of(data, keyword), charset_of(data))


def charset_of(data: Dataset) -> list[str]:
    """Python's names of the Specific Character Set (PS3.3 C.12.1.1.2); [] if none is given."""
    given = data.get("SpecificCharacterSet") or []  # the one element that pydicom has parsed already
    terms = [given] if isinstance(given, str) else list(given)
    return convert_encodings(terms) if any(terms) else []


def decoded(raw: bytes, charset: Sequence[str]) -> str:
    """A text of a data set; without a character set UTF-8 if it is that, else Latin 1.

    Args:
        raw: its bytes.
        charset: Python's names of the Specific Character Set (PS3.3 C.12.1.1.2); [] if none is given.
    """
    raw = raw.strip(b" \0")
    if charset:
        return decode_bytes(raw, charset, set()).strip(" \0")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def items_of(data: Dataset, keyword: str) -> Sequence[Dataset]:
    """Items of a sequence; none if it is absent, or something else."""
    if keyword not in data:
        return ()
    value = data[keyword].value
    return value if isinstance(value, DicomSequence) else ()
