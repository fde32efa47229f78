"""PyTorch asks for large memory pages for a model's tensors."""

import subprocess
import sys

import pytest

LOOK = """
import torch
import gossamer
import mmap
print([torch.empty(2**20).data_ptr() % mmap.PAGESIZE for _ in range(4)])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="large pages are asked for on Linux alone")
def test_large_tensors_begin_on_a_page_as_they_do_only_where_large_ones_are_asked_for():
    done = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.split("\n")[0] == "[0, 0, 0, 0]"
