"""What was kept comes back to the bit, or not at all."""

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


def test_so_are_equal_ones_though_it_takes_a_look(tmp_path, tensors):
    files = TensorFiles(tmp_path)
    reference = files.keep(tensors, 0)
    assert files.keep({name: tensor.clone() for name, tensor in tensors.items()}, 1) == reference
    files.keep_only({reference})
    assert len(list(tmp_path.iterdir())) == 1


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
