"""A sum that is remembered is the one that hashing anew would give."""

import gc
import hashlib

import pytest
import torch

from gossamer.wire import digests, frame
from gossamer.wire.digests import note_sha256, recalled_sha256, sha256_of
from gossamer.wire.frame import build_frame, read_header, read_tensors


@pytest.fixture
def tensors():
    return [torch.arange(6, dtype=torch.float32).reshape(2, 3), torch.ones(3, dtype=torch.uint8)]


def by_hand(tensors):
    return hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in tensors)).digest()


def test_the_sum_is_that_of_the_bytes_back_to_back_and_is_known_from_then_on(tensors):
    assert recalled_sha256(tensors) is None
    assert sha256_of(tensors) == by_hand(tensors)
    assert recalled_sha256(tensors) == by_hand(tensors)


def test_it_is_not_that_of_others_or_of_another_order(tensors):
    sha256_of(tensors)
    assert recalled_sha256(tensors[::-1]) is None
    assert recalled_sha256(tensors[:1]) is None
    assert recalled_sha256([tensors[0].clone(), tensors[1]]) is None


def test_a_tensor_that_was_changed_in_place_is_hashed_anew(tensors):
    before = sha256_of(tensors)
    tensors[0].add_(1)
    assert recalled_sha256(tensors) is None
    assert sha256_of(tensors) == by_hand(tensors) != before


def test_nothing_is_kept_of_tensors_that_are_gone(tensors):
    gc.collect()
    before = len(digests._SHA256._known)
    sha256_of(tensors)
    assert len(digests._SHA256._known) == before + 1
    tensors.clear()
    gc.collect()
    assert len(digests._SHA256._known) == before


def test_tensors_that_count_no_versions_are_hashed_each_time(tensors):
    with torch.inference_mode():
        made = [tensor * 2 for tensor in tensors]
    assert sha256_of(made) == by_hand(made)
    assert recalled_sha256(made) is None


def test_no_tensors_have_the_sum_of_nothing():
    assert sha256_of([]) == hashlib.sha256().digest()


def test_a_frame_that_was_hashed_as_it_came_in_is_not_hashed_again(tensors, monkeypatch):
    data = memoryview(bytearray(build_frame({}, dict(zip("ab", tensors, strict=True))).to_bytes()))
    note_sha256([data], by_hand(tensors))
    read = read_tensors(data, read_header(data, len(data)))
    monkeypatch.setattr(digests, "bytes_of", None)
    monkeypatch.setattr(frame, "bytes_of", None)
    assert build_frame({}, read).body_sha256 == by_hand(tensors)
