"""Gzip that repeats the code of zeros. Python's own gzip, and SimpleITK's zlib, say what is in it."""

import gzip
import zlib

import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st

from gossamer.data.frame import Frame
from gossamer.data.image import read_mask_nifti
from gossamer.data.nifti import write_sparse_file
from gossamer.data.sparse_gzip import PIECE_BYTES, gzip_pieces

EMPTY = bytes(PIECE_BYTES)
NOISE = np.random.default_rng(0).integers(0, 256, PIECE_BYTES, dtype=np.uint8).tobytes()
SPECK = EMPTY[:-1] + b"\1"


def compressed(content, level=1):
    return b"".join(gzip_pieces(content, level))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([EMPTY, NOISE, SPECK, EMPTY * 3]), max_size=6), st.binary(max_size=300), st.integers(1, 9)
)
def test_what_goes_in_comes_out_in_one_member(pieces, rest, level):
    content = b"".join(pieces) + rest
    file = compressed(content, level)
    inflate = zlib.decompressobj(31)  # stops at the end of the first member
    assert inflate.decompress(file) + inflate.flush() == content
    assert inflate.eof
    assert inflate.unused_data == b""
    assert file == compressed(memoryview(content), level)


@pytest.mark.parametrize("content", [b"", b"\0", EMPTY, EMPTY + b"\0", SPECK, EMPTY + NOISE + EMPTY])
def test_short_and_even_lengths_are_whole(content):
    assert gzip.decompress(compressed(content)) == content


def test_zeros_take_little_room():
    content = EMPTY * 50 + SPECK + EMPTY * 49
    assert len(compressed(content)) < 1.1 * len(gzip.compress(content, 1))


def test_other_software_reads_a_mask_written_so(tmp_path):
    mask = np.zeros((40, 128, 128), dtype=np.uint8)
    mask[20:25, 30:60, 40:90] = 1
    affine = np.diag([-2.0, -2.0, 3.0, 1.0])
    write_sparse_file(tmp_path / "m.nii.gz", mask.transpose(2, 1, 0), affine)
    theirs = SimpleITK.ReadImage(str(tmp_path / "m.nii.gz"))
    assert np.array_equal(SimpleITK.GetArrayFromImage(theirs), mask)
    assert theirs.GetSpacing() == (2.0, 2.0, 3.0)
    frame = Frame.canonical(mask.shape, (3.0, 2.0, 2.0), (0.0, 0.0, 0.0))
    assert np.array_equal(read_mask_nifti(tmp_path / "m.nii.gz", frame, "mask"), mask > 0)
