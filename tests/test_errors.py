"""Every error has a code of its own, a place in the drawn tree, and a page."""

from pathlib import Path

import pytest

from gossamer import errors
from gossamer.errors import GossamerError

PAGES = Path(__file__).parents[1] / "docs" / "reference" / "errors"


def all_errors() -> list[type[GossamerError]]:
    found, queue = [], [GossamerError]
    while queue:
        error = queue.pop()
        found.append(error)
        queue.extend(error.__subclasses__())
    return sorted((e for e in found if e.__module__.startswith("gossamer")), key=lambda e: e.code)


@pytest.mark.parametrize("error", all_errors(), ids=lambda e: e.__name__)
def test_each_error_has_a_page_and_a_place_in_the_tree(error):
    page = PAGES / f"{error.code}.md"
    assert page.is_file(), f"write {page.name}: what it means and what to do"
    assert page.read_text().startswith(f"# {error.code}: ")
    assert errors.__doc__ is not None
    assert error.__name__ in errors.__doc__


def test_codes_are_unique_and_grouped_by_exit_status():
    codes = [error.code for error in all_errors()]
    assert len(set(codes)) == len(codes)
    for error in all_errors():
        if error is not GossamerError:
            assert error.code[4] == str(error.exit_status)
