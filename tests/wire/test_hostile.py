"""Frames that were tampered with, some thousands by seed: a WireError or a message within the limits, nothing else.

What only changes numbers in a share's body cannot be told from another share here; the connection's TLS keeps it out.
"""

import json
import random

import pytest
import torch

from gossamer.errors import WireError
from gossamer.wire.codec import decode, encode
from gossamer.wire.limits import Limits
from gossamer.wire.messages import Receipt, ShareMessage

MUTATIONS_A_SEED = 1000

HOSTILE = [
    None, True, -1, 0, 1, 2**31, 2**63, 10**400, 0.5, 1e308, "", "x", "F32", "BF16", "U8", "0x1.0p+0", "\x00", "9" * 30,
    "\ud800", [], [0], [0, 4], [0, 2**40], [-1, 3], [[0], [4]], {}, {"x": 1}, [2**40] * 8, [1] * 9, "receipt", "share",
]  # fmt: skip


def flip_bits(chance, data):
    # Half of the flips where they hurt: in the length and the JSON.
    end = chance.choice([len(data), 8 + int.from_bytes(data[:8], "little")])
    for _ in range(chance.randint(1, 8)):
        data[chance.randrange(end)] ^= 1 << chance.randrange(8)
    return data


def cut_off(chance, data):
    return data[: chance.randrange(len(data))]


def append(chance, data):
    return data + chance.randbytes(chance.choice([1, 4, 8, 100]))


def double_header(chance, data):
    end = 8 + int.from_bytes(data[:8], "little")
    return data[:end] + data if chance.random() < 0.5 else data[:end] + data[8:end] + data[end:]


def other_length(chance, data):
    length = int.from_bytes(data[:8], "little")
    other = chance.choice([0, 1, length - 1, length + 1, length + 8, len(data), 2**32, 2**63, chance.randrange(2**64)])
    return other.to_bytes(8, "little") + data[8:]


def move_a_slice(chance, data):
    size = chance.randint(1, 40)
    here, there = chance.randrange(len(data)), chance.randrange(len(data))
    data[there : there + size] = data[here : here + size]
    return data


def swap_offsets(chance, data):
    def change(document):
        one, other = chance.sample([name for name in document if name != "__metadata__"], 2)
        entries = document[one], document[other]
        entries[0]["data_offsets"], entries[1]["data_offsets"] = entries[1]["data_offsets"], entries[0]["data_offsets"]

    return rewritten(data, change)


def spoil_a_value(chance, data):
    def change(document):
        place, key = chance.choice(list(leaves(document)))
        place[key] = chance.choice(HOSTILE)

    return rewritten(data, change)


def drop_or_rename(chance, data):
    def change(document):
        place, key = chance.choice([each for each in leaves(document) if isinstance(each[0], dict)])
        value = place.pop(key)
        if chance.random() < 0.7:
            place[chance.choice(["", "body", "scale", "kind", "dtype", "__metadata__", key * 2])] = value

    return rewritten(data, change)


TENSOR_TRICKS = (swap_offsets,)
TRICKS = (
    flip_bits, cut_off, append, double_header, other_length, move_a_slice, spoil_a_value, drop_or_rename, swap_offsets,
)  # fmt: skip


def rewritten(data, change):
    """The frame with another JSON, its length right."""
    end = 8 + int.from_bytes(data[:8], "little")
    document = json.loads(data[8:end])
    change(document)
    text = json.dumps(document).encode()
    return len(text).to_bytes(8, "little") + text + data[end:]


def leaves(node):
    """Every (container, key) in a JSON value."""
    for key, each in list(node.items() if isinstance(node, dict) else enumerate(node)):
        yield node, key
        if isinstance(each, dict | list):
            yield from leaves(each)


def assert_within(message, limits):
    assert message.envelope.exchange >= 0
    assert all(0 < len(name) <= 200 for name in (message.envelope.sender, message.envelope.receiver))
    if isinstance(message, ShareMessage):
        assert Limits.of(message.share.params, message.share.mass) == limits
        masses = [message.share.mass.body, *message.share.mass.rows["head.bias"]]
        assert all(0 <= mass < float("inf") for mass in masses)
    else:
        assert isinstance(message, Receipt)


@pytest.mark.parametrize("seed", range(5))
def test_tampered_frame_is_refused_with_a_wire_error_or_is_within_the_limits(seed, share_message):
    chance = random.Random(seed)
    limits = Limits.of(share_message.share.params, share_message.share.mass)
    frames = {
        kind: encode(message).to_bytes()
        for kind, message in (("share", share_message), ("receipt", Receipt(share_message.envelope)))
    }
    refused = 0
    for _ in range(MUTATIONS_A_SEED):
        kind = chance.choice(["share", "share", "share", "receipt"])
        trick = chance.choice(TRICKS if kind == "share" else TRICKS[: -len(TENSOR_TRICKS)])
        tampered = trick(chance, bytearray(frames[kind]))
        try:
            message = decode(chance.choice([bytes, bytearray, memoryview])(tampered), limits)
        except WireError:
            refused += 1
        else:
            assert_within(message, limits)
    # Only flips and moves inside tensors, names and numbers go through; they are a small part of all tricks.
    assert MUTATIONS_A_SEED * 0.6 < refused < MUTATIONS_A_SEED


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
