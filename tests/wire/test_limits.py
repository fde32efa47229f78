"""What a frame claims is refused before memory is taken for it; the error names the field."""

import tracemalloc

import pytest
import torch

from gossamer.errors import WireError
from gossamer.gossip import Mass
from gossamer.wire import codec, frame
from gossamer.wire.codec import decode, encode
from gossamer.wire.limits import NOTICE_BYTES, Limits

HASH = "0" * 64
SMALL = Limits({"x": (torch.float32, (2,))}, {"x": 2})
METADATA = {
    "kind": "share",
    "protocol": "1",
    "federation": HASH,
    "sender": "a",
    "receiver": "b",
    "exchange": "0",
    "attempt": "0",
    "role": "step",
    "phases": "",
    "heard": "",
    "mass": '{"body":"0x1.0p+0","rows":{"x":["0x1.8p+1","0x0.0p+0"]}}',
}
ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
A_LITTLE_BYTES = 64 * 1024
"""More than Python needs to say no, and far less than any claim below."""


def peak_bytes(refused):
    tracemalloc.start()
    try:
        with pytest.raises(WireError):
            refused()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def changed(hand_made, *, body=bytes(8), metadata=None, **entries):
    return hand_made({"__metadata__": METADATA | (metadata or {}), "x": ENTRY} | entries, body)


def test_frame_put_together_by_hand_is_a_share(hand_made):
    message = decode(changed(hand_made, body=bytes.fromhex("0000803f 000000c0")), SMALL)
    assert message.share.params["x"].tolist() == [1.0, -2.0]
    assert message.share.mass == Mass(1.0, {"x": (3.0, 0.0)})


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [2**20, 2**20], "data_offsets": [0, 2**42]},
        {"dtype": "F64", "shape": [2**40] * 8, "data_offsets": [0, 2**40]},
        {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 8]},
    ],
)
def test_tensor_that_claims_to_be_huge_takes_no_memory(hand_made, entry):
    claim = changed(hand_made, x=entry)
    roomy = Limits({"x": (torch.float32, (2**20, 2**20))}, {"x": 2})
    for limits in (SMALL, roomy):
        assert peak_bytes(lambda limits=limits: decode(claim, limits)) < A_LITTLE_BYTES


def test_header_that_claims_to_be_huge_takes_no_memory():
    claim = (2**62).to_bytes(8, "little") + b"{}"
    assert peak_bytes(lambda: decode(claim, SMALL)) < A_LITTLE_BYTES


def test_large_share_of_another_network_takes_no_memory(hand_made):
    params = {"x": torch.zeros(1024, 1024)}
    claim = changed(hand_made, x={"dtype": "F32", "shape": [2**20], "data_offsets": [0, 2**22]}, body=bytes(2**22))
    limits = Limits.of(params, Mass(1.0, {"x": (1.0,) * 2}))
    # The frame is not too long for this network; only the shape is another.
    assert len(claim) <= limits.frame_bytes
    assert peak_bytes(lambda: decode(claim, limits)) < A_LITTLE_BYTES


def test_frame_that_is_too_long_is_refused_before_it_is_looked_at(monkeypatch):
    monkeypatch.setattr(codec, "read_header", pytest.fail)
    with pytest.raises(WireError, match=rf"'length': wanted a frame of at most {SMALL.frame_bytes} bytes"):
        decode(bytes(SMALL.frame_bytes + 1), SMALL)


def test_header_that_is_too_long_is_refused_before_it_is_parsed(monkeypatch):
    monkeypatch.setattr(frame, "parse_object", pytest.fail)
    with pytest.raises(WireError, match=r"'length': wanted a header of at most 100 bytes"):
        frame.read_header((93).to_bytes(8, "little") + bytes(93), 100)


def test_tensors_are_compared_with_the_plan_before_they_are_read(hand_made, monkeypatch):
    monkeypatch.setattr(codec, "read_tensors", pytest.fail)
    with pytest.raises(WireError, match=r"'x': wanted torch.float32 \[2\]; found 'torch.float64 \[1\]"):
        decode(changed(hand_made, x={"dtype": "F64", "shape": [1], "data_offsets": [0, 8]}), SMALL)


def test_masses_are_checked_before_tensors_are_read(hand_made, monkeypatch):
    monkeypatch.setattr(codec, "read_tensors", pytest.fail)
    with pytest.raises(WireError, match="'mass'"):
        decode(changed(hand_made, metadata={"mass": '{"body":"0x1.0p+0","rows":{"x":[]}}'}), SMALL)


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ({"dtype": "F32", "shape": [2]}, "'x': wanted dtype, shape and data_offsets"),
        ([1, 2], "'x': wanted dtype, shape and data_offsets"),
        (ENTRY | {"dtype": "C64"}, "'x': wanted a dtype among F64"),
        (ENTRY | {"dtype": ["F32"]}, "'x': wanted a dtype among F64"),
        (ENTRY | {"shape": [-2]}, "'x': wanted a shape"),
        (ENTRY | {"shape": [2.0]}, "'x': wanted a shape"),
        (ENTRY | {"shape": [True, 2]}, "'x': wanted a shape"),
        (ENTRY | {"shape": [2**40 + 1]}, "'x': wanted a shape"),
        (ENTRY | {"shape": [1] * 8 + [2]}, "'x': wanted a shape of at most 8"),
        (ENTRY | {"shape": "2"}, "'x': wanted a shape"),
        (ENTRY | {"shape": [1, 2]}, r"'x': wanted torch.float32 \[2\]; found 'torch.float32 \[1, 2\]"),
        (ENTRY | {"data_offsets": [8, 0]}, "'x': wanted data_offsets 8 apart"),
        (ENTRY | {"data_offsets": [0, 4]}, "'x': wanted data_offsets 8 apart"),
        (ENTRY | {"data_offsets": [0, 8, 8]}, "'x': wanted data_offsets 8 apart"),
        (ENTRY | {"data_offsets": [4, 12]}, "'x': wanted data_offsets that begin at 0"),
        (ENTRY | {"data_offsets": [-8, 0]}, "'x': wanted data_offsets"),
    ],
)
def test_header_that_contradicts_the_plan_or_itself_is_refused_by_field(hand_made, entry, complaint):
    with pytest.raises(WireError, match=complaint):
        decode(changed(hand_made, x=entry), SMALL)


@pytest.mark.parametrize(
    ("entries", "body", "complaint"),
    [
        ({"y": ENTRY}, bytes(8), "'y': wanted data_offsets that begin at 8"),
        (
            {"y": ENTRY | {"data_offsets": [8, 16]}},
            bytes(16),
            r"'y': wanted no such tensor; found 'torch.float32 \[2\]",
        ),
        ({"y": ENTRY | {"data_offsets": [12, 20]}}, bytes(20), "'y': wanted data_offsets that begin at 8"),
        ({}, bytes(9), "'data_offsets': wanted tensors that fill the 9 bytes"),
        ({}, bytes(7), "'data_offsets': wanted tensors that fill the 7 bytes"),
    ],
)
def test_body_must_be_filled_by_the_plans_tensors_without_gap_or_overlap(hand_made, entries, body, complaint):
    with pytest.raises(WireError, match=complaint):
        decode(changed(hand_made, body=body, **entries), SMALL)


def test_missing_tensor_is_refused_by_name(hand_made):
    with pytest.raises(WireError, match=r"'x': wanted torch.float32 \[2\]; found 'no such tensor'"):
        decode(hand_made({"__metadata__": METADATA}), SMALL)


@pytest.mark.parametrize(
    ("field", "text", "complaint"),
    [
        ("kind", "secret", "'kind': wanted share or receipt or notice; found 'secret'"),
        ("kind", "receipt", "'__metadata__': wanted the fields exchange"),
        ("protocol", "2", r"'protocol': wanted version 1 \(update the older site\); found '2'"),
        ("federation", "0" * 63, "'federation'"),
        ("federation", "G" * 64, "'federation'"),
        ("federation", HASH + "\n", "'federation'"),
        ("sender", "", "'sender'"),
        ("receiver", "a\x00", "'receiver'"),
        ("exchange", "-1", "'exchange'"),
        ("exchange", "007", "'exchange'"),
        ("exchange", "1" + "0" * 18, "'exchange'"),
        ("exchange", "\u0664", "'exchange'"),
        ("attempt", "1e3", "'attempt'"),
        ("role", "leader", "'role': wanted step or swap or answer or last"),
        ("phases", "1,2", "'phases'"),
        ("heard", "-1 2", "'heard'"),
        ("phases", " ".join(["1"] * 257), "'phases'"),
        ("mass", "1.0", "'mass': wanted a JSON object"),
        ("mass", '{"body":"0x1.0p+0"}', "'mass': wanted body and rows"),
        ("mass", '{"body":"0x1.0p+0","rows":{}}', "'mass': wanted rows of lengths"),
        ("mass", '{"body":"0x1.0p+0","body":"0x1.0p+0","rows":{}}', "'mass': wanted JSON"),
        ("mass", '{"body":1.0,"rows":{"x":["0x0.0p+0","0x0.0p+0"]}}', "'mass': wanted a hexadecimal number"),
        ("mass", '{"body":"-0x1.0p+0","rows":{"x":["0x0.0p+0","0x0.0p+0"]}}', "'mass': wanted a hexadecimal number"),
        ("mass", '{"body":"nan","rows":{"x":["0x0.0p+0","0x0.0p+0"]}}', "'mass': wanted a hexadecimal number"),
        ("mass", '{"body":"0x1.0p+1024","rows":{"x":["0x0.0p+0","0x0.0p+0"]}}', "'mass': wanted a number that is fin"),
    ],
)
def test_envelope_and_mass_out_of_range_are_refused_by_field(hand_made, field, text, complaint):
    with pytest.raises(WireError, match=complaint):
        decode(changed(hand_made, metadata={field: text}), SMALL)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b'"x"',
        b"{",
        b'{"x": NaN}',
        b'{"x": 1, "x": 1}',
        b'{"__metadata__": {}, "__metadata__": {}}',
        b'{"__metadata__": []}',
        b'{"__metadata__": {"kind": 1}}',
        b'{"__metadata__": {"kind": null}}',
        b'{"x": ' + b"9" * 5000 + b"}",
        b'{"x": "\xff"}',
        '{"__metadata__": {}}'.encode("utf-16"),
        b"\x80\x04.",
    ],
)
def test_header_that_is_no_utf8_json_object_of_texts_is_refused(hand_made, text):
    with pytest.raises(WireError):
        decode(hand_made(text), SMALL)


def test_header_in_another_encoding_is_no_header(hand_made):
    # Python's JSON reader guesses UTF-16 and UTF-32 from the zeros; other readers do not, and would see another frame.
    receipt = {field: METADATA[field] for field in ("protocol", "federation", "sender", "receiver", "exchange")}
    plain = hand_made({"__metadata__": {"kind": "receipt", **receipt}})
    assert decode(plain, SMALL).envelope.sender == "a"
    for encoding in ("utf-16-le", "utf-16", "utf-32-be", "utf-8-sig"):
        with pytest.raises(WireError, match="'header': wanted JSON"):
            decode(hand_made(plain[8:].decode().encode(encoding)), SMALL)


@pytest.mark.parametrize("opened", ['{"x":', "[", '{"__metadata__":{"mass":['])
def test_nesting_of_any_depth_is_refused(hand_made, opened):
    roomy = Limits({f"{n}": (torch.float32, ()) for n in range(50)}, {})
    for depth in (*range(1, 900, 50), *range(900, 1010), 4000):
        with pytest.raises(WireError):
            decode(hand_made(b'{"x":' + opened.encode() * depth), roomy)
        closed = b'{"x":' + b"[" * depth + b"]" * depth + b"}"
        with pytest.raises(WireError):
            decode(hand_made(closed), roomy)


def test_receipt_carries_no_tensor(hand_made, share_message):
    fields = {field: METADATA[field] for field in ("protocol", "federation", "sender", "receiver", "exchange")}
    smuggled = hand_made({"__metadata__": {"kind": "receipt", **fields}, "x": ENTRY}, bytes(8))
    with pytest.raises(WireError, match="'x': wanted no such tensor"):
        decode(smuggled, SMALL)


def test_error_is_short_and_plain_whatever_the_frame_holds(hand_made):
    loud = "\x1b[31m\u202e" + "A" * 3000
    for claim in (changed(hand_made, **{loud: 1}), changed(hand_made, metadata={"sender": loud})):
        with pytest.raises(WireError) as caught:
            decode(claim, Limits({"x": (torch.float32, (2,)), "y" * 1000: (torch.float32, ())}, {"x": 2}))
        text = str(caught.value)
        assert len(text) < 400
        assert text.isascii()
        assert text.isprintable()


def test_limits_are_those_of_a_sites_own_parameters(share_message):
    params, mass = share_message.share.params, share_message.share.mass
    limits = Limits.of(params, mass)
    assert limits.tensors["body"] == (torch.float32, (4, 3))
    assert limits.rows == {"head.bias": 3}
    # A notice may be longer than this small network.
    assert limits.frame_bytes - limits.header_bytes == NOTICE_BYTES
    assert len(encode(share_message).header) <= limits.header_bytes


def test_a_frame_may_be_as_long_as_a_large_network():
    limits = Limits({"body": (torch.float32, (1000, 1000)), "head": (torch.float64, (2,))}, {})
    assert limits.frame_bytes - limits.header_bytes == 1_000_000 * 4 + 2 * 8
