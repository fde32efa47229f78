"""What a site keeps for itself comes back as it was; of anything else nothing is made."""

import json
import random
import subprocess
from collections import Counter
from dataclasses import dataclass
from math import inf, isnan, nan

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gossamer.errors import StorageError
from gossamer.wire.codec import encode
from gossamer.wire.frame import build_frame
from gossamer.wire.values import pack, unpack

LAW = settings(max_examples=100, deadline=None)


@dataclass(frozen=True)
class Pair:
    one: object
    other: object = None


@dataclass(frozen=True)
class Empty:
    pass


KINDS = (Pair, Empty)

plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters()) | st.binary()
keys = st.none() | st.integers() | st.text(st.characters()) | st.tuples(st.integers(), st.text())
values = st.recursive(
    plain | st.builds(Empty),
    lambda inner: (
        st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(keys, inner, max_size=3)
        | st.builds(Pair, inner, inner)
    ),
    max_leaves=12,
)


def with_types(value):
    """As the value, but telling 1 from 1.0 and True, and 0.0 from -0.0."""
    match value:
        case dict():
            return [(with_types(key), with_types(each)) for key, each in value.items()]
        case tuple():
            return tuple(with_types(each) for each in value)
        case Pair(one, other):
            return Pair, with_types(one), with_types(other)
    return type(value), repr(value)


@LAW
@given(value=values)
def test_value_comes_back_as_it_was(value):
    frame = pack(value, KINDS)
    for data in (frame, frame.to_bytes(), bytearray(frame.to_bytes())):
        assert with_types(unpack(data, KINDS)) == with_types(value)


def test_numbers_that_are_not_finite_come_back():
    found = unpack(pack((nan, inf, -inf), ()), ())
    assert isnan(found[0])
    assert found[1:] == (inf, -inf)


def test_sequences_come_back_as_tuples_and_mappings_as_dictionaries():
    found = unpack(pack({"a": [1, [2]], "b": Counter("xxy")}, ()), ())
    assert found == {"a": (1, (2,)), "b": {"x": 2, "y": 1}}
    assert type(found["b"]) is dict


def test_tensor_that_occurs_twice_is_written_once_and_is_one_tensor_again():
    tensor = torch.arange(1000.0)
    frame = pack(Pair(tensor, (tensor, tensor)), KINDS)
    assert frame.body_bytes == 4000
    found = unpack(frame.to_bytes(), KINDS)
    assert found.one is found.other[0] is found.other[1]
    assert torch.equal(found.one, tensor)


def test_different_views_of_the_same_memory_are_different_tensors():
    tensor = torch.arange(6.0)
    found = unpack(pack((tensor, tensor[:3], tensor.reshape(2, 3), tensor.reshape(2, 3).T), ()).to_bytes(), ())
    assert [each.tolist() for each in found] == [
        [0, 1, 2, 3, 4, 5], [0, 1, 2], [[0, 1, 2], [3, 4, 5]], [[0, 3], [1, 4], [2, 5]],
    ]  # fmt: skip


def test_packing_copies_no_tensor():
    tensor = torch.arange(10.0)
    assert pack((tensor,), ()).tensors[0].data_ptr() == tensor.data_ptr()


@pytest.mark.parametrize("value", [{1, 2}, object(), Pair, 1j, torch.float32, Pair(1)])
def test_kind_that_is_not_listed_is_not_written(value):
    with pytest.raises(TypeError, match="wanted a plain value; found"):
        pack((value,), (Empty,))


@pytest.mark.parametrize("dtype", [torch.complex64, torch.float8_e5m2])
def test_tensor_of_a_dtype_that_no_header_can_name_is_not_written(dtype):
    with pytest.raises(TypeError, match=str(dtype)):
        pack(torch.zeros(2, dtype=dtype), ())


def test_kind_that_is_not_listed_is_not_read():
    with pytest.raises(StorageError, match=r"'Pair'.*of another version"):
        unpack(pack(Pair(1), KINDS), (Empty,))


def test_reading_runs_no_code(monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", pytest.fail)

    @dataclass(frozen=True)
    class Popen:
        args: object

    written = pack(Popen(("true",)), (Popen,))
    with pytest.raises(StorageError, match="Popen"):
        unpack(written, KINDS)


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[1", '{"Pair": [1, 2, 3]}', '{"Pair": 1}', '{"Pair": [1], "Empty": []}', "{}", '{"tensor": "000001"}',
        '{"tensor": ["000000"]}', '{"bytes": "0g"}', '{"bytes": 7}', '{"map": [[1]]}', '{"map": [[{"map": []}, 1]]}',
        '{"map": 1}', "[" * 100000, "[" * 990 + "]" * 990, "9" * 5000,
    ],
)  # fmt: skip
def test_value_that_pack_would_not_write_is_refused(text, resealed):
    with pytest.raises(StorageError, match="damaged or of another version"):
        unpack(resealed(text), KINDS)


@pytest.fixture
def resealed(monkeypatch):
    """A frame around any text, with the digest that belongs to it: what someone writes who knows the format."""

    def seal(text):
        with monkeypatch.context() as patch:
            patch.setattr(json, "dumps", _around(text, json.dumps))
            return pack((torch.zeros(1),), ()).to_bytes()

    return seal


def _around(text, dumps):
    return lambda value, **settings: dumps(value, **settings) if isinstance(value, dict) else text


def test_flip_of_any_bit_is_found():
    whole = pack((Pair("a", {1: b"xyz"}), torch.arange(8.0), torch.tensor([True, False]), -1.5), KINDS).to_bytes()
    for bit in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(StorageError):
            unpack(flipped, KINDS)


def test_cut_and_lengthened_files_are_found():
    whole = pack((Pair(1), torch.arange(8.0)), KINDS).to_bytes()
    for end in range(len(whole)):
        with pytest.raises(StorageError):
            unpack(whole[:end], KINDS)
    for tail in (b"\0", whole, random.Random(0).randbytes(100)):
        with pytest.raises(StorageError):
            unpack(whole + tail, KINDS)


def test_other_safetensors_files_are_no_values(share_message):
    for other in (encode(share_message), build_frame({}, {"x": torch.zeros(2)}), build_frame({"value": "1"}, {})):
        with pytest.raises(StorageError, match="remove it to begin anew"):
            unpack(other.to_bytes(), KINDS)
