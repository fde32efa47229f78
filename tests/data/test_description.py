"""The rules that make a dataset usable."""

import pytest

from gossamer.data.description import (
    Case,
    SetAside,
    require_few_set_aside,
    require_safe_id,
    require_training_case,
    require_unique_ids,
)
from gossamer.errors import DatasetError, NoTrainingCaseError, TooManyBadCasesError


def bad(count):
    return [SetAside(case=f"p{n}", reason=f"torn ({n})") for n in range(count)]


def case(split):
    return Case(id="p", split=split, annotated=(), complete=(), shape=(1, 1, 1), spacing_mm=(1.0, 1.0, 1.0))


@pytest.mark.parametrize("case_id", ["p1", "HN-017", "train_pt_1", "7.b", "a" * 64])
def test_pseudonyms_are_taken(case_id):
    require_safe_id(case_id)


@pytest.mark.parametrize(
    "case_id",
    [
        "",
        ".",
        "..",
        "../etc",
        "/etc",
        "a/b",
        "a\\b",
        "-rf",
        ".hidden",
        "a" * 65,
        "a\nb",
        "a\n",
        "Müller",
        "Doe^John",
        "a b",
    ],
)
def test_what_could_leave_its_folder_or_be_a_name_is_refused_and_not_repeated(case_id):
    with pytest.raises(DatasetError) as caught:
        require_safe_id(case_id, "index, line 3, id")
    message = str(caught.value)
    assert message.startswith(
        "index, line 3, id: wanted 1 to 64 letters, digits, '.', '_' or '-', a letter or digit first"
    )
    assert f"; found {len(case_id)} characters" in message
    assert message.endswith("; give it a pseudonym of that form")
    assert len(case_id) < 3 or case_id not in message


def test_the_letters_that_are_wrong_are_shown():
    with pytest.raises(DatasetError, match=r"found 8 characters, among them ' ' '\^'; give"):
        require_safe_id("Doe ^Jon")


def test_ids_that_would_share_a_folder_anywhere_are_refused():
    require_unique_ids(["a", "b", "c"], "site A")
    with pytest.raises(
        DatasetError, match="site A: wanted each case id once, ignoring case; found P1, p1 twice; rename"
    ):
        require_unique_ids(["p1", "p2", "P1"], "site A")


@pytest.mark.parametrize(
    ("good", "share", "allowed"),
    [(1, 0.05, 1), (18, 0.05, 1), (38, 0.05, 2), (57, 0.05, 3), (71, 0.29, 29), (10, 0.0, 0)],
)  # 1 of 2, 1 of 19, 2 of 40, 3 of 60, 29 of 100, none
def test_as_many_bad_cases_as_the_share_allows_are_borne_and_one_always(good, share, allowed):
    require_few_set_aside(bad(allowed), good, share, "site A", "repair them")
    with pytest.raises(TooManyBadCasesError):
        require_few_set_aside(bad(allowed + 1), good - 1, share, "site A", "repair them")


def test_too_many_bad_cases_are_counted_and_named_with_their_reasons():
    with pytest.raises(TooManyBadCasesError) as caught:
        require_few_set_aside(bad(2), 20, 0.05, "site A", "repair them")
    assert str(caught.value) == (
        "site A: wanted at most 1 bad cases of 22 (5%); found 2:\n  p0: torn (0)\n  p1: torn (1)\nrepair them"
    )


def test_of_very_many_bad_cases_a_screen_of_reasons_is_told_and_all_names():
    with pytest.raises(TooManyBadCasesError) as caught:
        require_few_set_aside(bad(23), 0, 0.05, "site A", "repair them")
    assert str(caught.value).count("torn") == 20
    assert "  and 3 more: p20, p21, p22\n" in str(caught.value)


def test_a_site_without_training_cases_is_refused_unless_it_is_a_locked_test_set():
    require_training_case([case("train"), case("val")], "site A")
    require_training_case([case("test"), case("test")], "site A")
    for splits in ((), ("val",), ("val", "test")):
        with pytest.raises(NoTrainingCaseError, match=f"found {len(splits)} cases and none of it; check the splits"):
            require_training_case([case(split) for split in splits], "site A")
