"""Letters read as they were written, and nothing else reads as one."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossamer.errors import WireError
from gossamer.transport.letters import Letter, Offer, Taken, Wanted, from_bytes, to_bytes
from gossamer.transport.line_messages import MAX_TEXT_BYTES, Hello

HELLO = Hello(protocols=(1,), release="0.1.0", federation="ab" * 32)
LONGEST = Letter(
    hello=Hello(protocols=tuple(range(16)), release="9" * 40, federation="ab" * 32, life="f" * 64),
    heard=2**63 - 1,
    taken=Taken(token="00" * 16, life="f" * 64),
    wanted=Wanted(token="11" * 16, parts=tuple(range(10**5, 10**5 + 64)), reason='"' * 400),
    offer=Offer(token="22" * 16, secret="33" * 32, sha256="44" * 32, body_bytes=2**63 - 1),
)


@pytest.mark.parametrize("letter", [Letter(hello=HELLO), LONGEST], ids=["shortest", "longest"])
@pytest.mark.parametrize("header", [b"", b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_letter_reads_as_it_was_written(letter, header):
    assert from_bytes(to_bytes(letter, header)) == (letter, header)


@given(st.binary(max_size=200))
def test_any_other_bytes_are_a_wire_error(data):
    for text in (data, len(data).to_bytes(4, "little") + data):
        with pytest.raises(WireError):
            from_bytes(text)


@pytest.mark.parametrize(
    "changes",
    [
        {"heard": -1}, {"heard": 2**63}, {"taken": {"token": "00", "life": ""}}, {"offer": {}}, {"hello": None},
        {"offer": LONGEST.offer.model_dump() | {"body_bytes": -1}},
        {"offer": LONGEST.offer.model_dump() | {"sha256": "../../etc"}},
        {"wanted": {"token": "11" * 16, "parts": list(range(65))}},
    ],
)  # fmt: skip
def test_a_letter_that_cannot_be_meant_is_a_wire_error(changes):
    text = json.dumps(Letter(hello=HELLO).model_dump() | changes).encode()
    with pytest.raises(WireError):
        from_bytes(len(text).to_bytes(4, "little") + text)


def test_text_that_is_too_long_is_refused_before_it_is_read():
    with pytest.raises(WireError, match="text"):
        from_bytes((MAX_TEXT_BYTES + 1).to_bytes(4, "little") + b" " * (MAX_TEXT_BYTES + 1))
