"""What no form can have is refused before anything is done."""

import pytest

from gossamer.errors import UsageError
from gossamer.segment.wanted import Wanted


@pytest.mark.parametrize(
    ("form", "more", "remedy"),
    [
        ("seg", {"smooth_mm": 1.0}, "give --format rtstruct, or leave --smooth out"),
        ("nifti", {"smooth_mm": 1.0}, "found --format nifti"),
        ("seg", {"holes": "xor"}, "give --format rtstruct, or leave --holes out"),
        ("rtstruct", {"label_map": True}, "give --format nifti"),
    ],
)
def test_what_a_form_cannot_have_says_which_can(form, more, remedy):
    with pytest.raises(UsageError, match=remedy):
        Wanted(form, **more)
    Wanted("rtstruct", smooth_mm=1.0, holes="nested")
    Wanted(label_map=True)
