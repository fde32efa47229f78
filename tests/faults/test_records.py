"""Results are kept, found again by size and seed, and told on a page."""

from faults.campaign import Campaign, Result
from faults.records import Record, largest_record, page_of, read_record, write_record

CUT = Campaign("cut", "parted 2|2 they go on", "a line is cut", lambda size, seed, folder: KEPT.result, 1, 100)
KEPT = Record("cut", 100, 0, 2.5, Result("100 cuts: 0 lost", True, {"lost": 0}))
BROKEN = Record("cut", 7, 0, 1.0, Result("7 cuts: 1 lost", False, {"lost": 1}, done=5))


def test_a_result_is_found_again_by_size_and_seed(tmp_path):
    write_record(tmp_path, KEPT)
    write_record(tmp_path, BROKEN)
    assert read_record(tmp_path, "cut", 100, 0) == KEPT
    assert read_record(tmp_path, "cut", 100, 1) is None
    assert largest_record(tmp_path, "cut") == KEPT
    assert largest_record(tmp_path, "other") is None


def test_a_line_says_what_is_broken():
    assert KEPT.line(CUT) == "parted 2|2 they go on: 100 cuts: 0 lost; 2 s"
    assert BROKEN.line(CUT) == "parted 2|2 they go on: BROKEN: 7 cuts: 1 lost; 1 s"


def test_the_page_has_a_row_for_each_and_no_times():
    page = page_of([(CUT, KEPT), (CUT, BROKEN), (CUT, "not tried: no strace")])
    assert page.splitlines()[-3:] == [
        "| parted 2\\|2 they go on | a line is cut | 100 cuts: 0 lost | 100 |",
        "| parted 2\\|2 they go on | a line is cut | **broken**: 7 cuts: 1 lost | 5 |",
        "| parted 2\\|2 they go on | a line is cut | not tried: no strace |  |",
    ]
