"""Words that messages have in common."""

import errno

import pytest

from gossamer.errors import DataError
from gossamer.words import counted, first_few, reason


@pytest.mark.parametrize(
    ("count", "words"), [(0, ""), (2, "0, 1"), (5, "0, 1, 2, 3, 4"), (8, "0, 1, 2, 3, 4 and 3 more")]
)
def test_long_lists_are_cut(count, words):
    assert first_few([str(n) for n in range(count)]) == words


def test_one_is_counted_in_the_singular():
    assert [counted(number, "slice") for number in (0, 1, 2)] == ["0 slices", "1 slice", "2 slices"]


def test_a_path_is_left_out_of_what_the_system_says():
    assert reason(OSError(errno.EACCES, "Permission denied", "/data/a-patients-name")) == "Permission denied"
    assert reason(DataError("broken")) == "broken"
