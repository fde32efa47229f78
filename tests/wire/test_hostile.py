"""Frames of another length or order: a WireError. Tens of thousands of other tricks: ``faults/wire_hostile.py``."""

import random

import pytest
import torch

from gossamer.errors import WireError
from gossamer.wire.codec import decode, encode
from gossamer.wire.limits import Limits
from gossamer.wire.messages import Receipt


def cut_off(chance, data):
    return data[: chance.randrange(len(data))]


def append(chance, data):
    return data + chance.randbytes(chance.choice([1, 4, 8, 100]))


def double_header(chance, data):
    end = 8 + int.from_bytes(data[:8], "little")
    return data[:end] + data if chance.random() < 0.5 else data[:end] + data[8:end] + data[end:]


@pytest.mark.parametrize("trick", [cut_off, append, double_header])
def test_frame_of_another_length_is_never_accepted(trick, share_message):
    limits = Limits.of(share_message.share.params, share_message.share.mass)
    for message in (share_message, Receipt(share_message.envelope)):
        whole = encode(message).to_bytes()
        for seed in range(200):
            with pytest.raises(WireError):
                decode(bytes(trick(random.Random(seed), bytearray(whole))), limits)


def test_every_bit_of_the_length_and_every_cut_is_found(share_message):
    limits = Limits.of(share_message.share.params, share_message.share.mass)
    whole = encode(share_message).to_bytes()
    for bit in range(64):
        with pytest.raises(WireError):
            decode((int.from_bytes(whole[:8], "little") ^ 1 << bit).to_bytes(8, "little") + whole[8:], limits)
    for end in range(len(whole)):
        with pytest.raises(WireError):
            decode(whole[:end], limits)


def test_random_bytes_are_no_message():
    chance, limits = random.Random(1), Limits({"x": (torch.float32, (2,))}, {})
    for _ in range(500):
        with pytest.raises(WireError):
            decode(chance.randbytes(chance.randrange(200)), limits)


def test_swapped_offsets_of_tensors_of_one_size_make_another_share_and_of_different_sizes_none(hand_made):
    entry = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    metadata = {
        "kind": "share", "protocol": "1", "federation": "0" * 64, "sender": "a", "receiver": "b", "exchange": "0",
        "attempt": "0", "role": "step", "phases": "", "heard": "", "mass": '{"body":"0x1.0p+0","rows":{}}',
    }  # fmt: skip
    body = bytes.fromhex("0000803f 00000040")
    swapped = {"__metadata__": metadata, "a": entry | {"data_offsets": [4, 8]}, "b": entry}
    message = decode(hand_made(swapped, body), Limits(dict.fromkeys("ab", (torch.float32, (1,))), {}))
    assert {name: float(tensor) for name, tensor in message.share.params.items()} == {"a": 2.0, "b": 1.0}
    wide = Limits({"a": (torch.float32, (2,)), "b": (torch.float32, (1,))}, {})
    with pytest.raises(WireError, match="'a': wanted data_offsets 8 apart"):
        decode(hand_made(swapped | {"a": {"dtype": "F32", "shape": [2], "data_offsets": [4, 8]}}, body), wide)
