"""The pages in a browser: nothing is cut off on a telephone, and each picture has its place."""

import re

import pytest
from tests.conftest import write_toy_site
from tests.study.test_report_browser import CHROMIUM, measured

from gossamer.qa.run import look_at_dataset

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt-get install chromium), which is absent")


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("qa")
    dataset = write_toy_site(folder / "A", "A", {"train": 8, "val": 1})
    report = look_at_dataset(dataset, folder / "out")
    return report.index, folder / "out" / "cases" / f"{dataset.cases[0].id}.html"


@pytest.mark.parametrize(
    ("page", "width"), [(0, 1280), (0, 390), (1, 390)], ids=["index", "index on a telephone", "case on a telephone"]
)
def test_page_fits_its_window(pages, tmp_path, page, width):
    html = pages[page].read_text(encoding="utf-8")
    seen = measured(html, width, tmp_path)
    assert seen["innerWidth"] == width
    assert seen["scrollWidth"] <= width
    assert seen["wide"] == []
    assert seen["clipped"] == []
    assert len(seen["figures"]) == len(re.findall("<figure>", html))
    assert set(seen["figures"]) <= {1}
