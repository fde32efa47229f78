"""What was kept comes back to the bit, or not at all."""

import hashlib

import pytest
import torch

from gossamer.errors import StorageError
from gossamer.runtime import tensor_files
from gossamer.runtime.tensor_files import TensorFiles


@pytest.fixture
def tensors():
    return {
        "weight": torch.tensor([[1.5, float("nan")], [-0.0, float("inf")]]),
        "count": torch.tensor(7, dtype=torch.int64),
        "half": torch.ones(5, dtype=torch.bfloat16),
        "none": torch.empty(0, 3),
    }


def bits(tensors):
    return {
        name: (tensor.dtype, tensor.shape, tensor.reshape(-1).view(torch.uint8).tolist() if tensor.numel() else [])
        for name, tensor in tensors.items()
    }


def test_tensors_come_back_to_the_bit_in_another_process(tmp_path, tensors):
    reference = TensorFiles(tmp_path).keep(tensors, 0)
    assert bits(TensorFiles(tmp_path).fetch(reference)) == bits(tensors)


def test_the_same_tensors_are_written_once_under_whatever_generation(tmp_path, tensors, monkeypatch):
    files = TensorFiles(tmp_path)
    reference = files.keep(tensors, 0)
    monkeypatch.setattr(tensor_files, "write_large_atomically", None)
    assert files.keep(dict(tensors), 1) == reference


def test_so_are_those_that_were_fetched(tmp_path, tensors, monkeypatch):
    reference = TensorFiles(tmp_path).keep(tensors, 0)
    files = TensorFiles(tmp_path)
    fetched = files.fetch(reference)
    monkeypatch.setattr(tensor_files, "write_large_atomically", None)
    assert files.keep(fetched, 1) == reference


def test_a_tensor_that_was_changed_in_place_is_written_anew(tmp_path, tensors):
    files = TensorFiles(tmp_path)
    before = files.keep(tensors, 0)
    tensors["count"].add_(1)
    after = files.keep(tensors, 1)
    assert after != before
    assert int(TensorFiles(tmp_path).fetch(after)["count"]) == 8


def test_what_a_release_before_kept_comes_back_too(tmp_path, tensors):
    """References of the journal's format 2: SHA-256 of the header with the SHA-256 of the rest."""
    name, _ = TensorFiles(tmp_path).keep(tensors, 0).split()
    content = (tmp_path / name).read_bytes()
    begins = 8 + int.from_bytes(content[:8], "little")
    header, body = content[:begins], content[begins:]
    sha256 = hashlib.sha256(header + hashlib.sha256(body).digest()).hexdigest()
    assert bits(TensorFiles(tmp_path).fetch(f"{name} {sha256}")) == bits(tensors)
    (tmp_path / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(StorageError, match="found others"):
        TensorFiles(tmp_path).fetch(f"{name} {sha256}")


def test_the_same_bytes_under_another_name_or_shape_are_another_file(tmp_path):
    files, row = TensorFiles(tmp_path), torch.zeros(6)
    references = {files.keep(each, 0) for each in ({"a": row}, {"b": row}, {"a": row.reshape(2, 3)})}
    assert len(references) == len(list(tmp_path.iterdir())) == 3


def test_what_nobody_refers_to_any_more_is_removed_and_written_again_when_it_comes_back(tmp_path, tensors):
    files = TensorFiles(tmp_path)
    first = files.keep(tensors, 0)
    files.keep_only(set())
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(StorageError):
        files.fetch(first)
    assert bits(TensorFiles(tmp_path).fetch(files.keep(tensors, 1))) == bits(tensors)


@pytest.mark.parametrize("reference", ["", "../../key 0", "tensors-0-0.safetensors", "state-0.safetensors " + "0" * 64])
def test_what_is_no_reference_opens_no_file(tmp_path, reference):
    with pytest.raises(StorageError, match="wanted a reference"):
        TensorFiles(tmp_path).fetch(reference)
