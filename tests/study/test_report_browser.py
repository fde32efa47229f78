"""The report in a browser: nothing is cut off on a telephone, and nothing is drawn outside its place."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from html import escape

import pytest

from gossamer.study.report import render
from gossamer.study.scores import write_cases

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt-get install chromium), which is absent")

MEASURE = """
<script>
const wide = [...document.querySelectorAll("main *")].filter(e => {
  const box = e.getBoundingClientRect();
  return box.width > 0 && box.right > innerWidth + 0.5 && !e.closest(".scroll");
});
const clipped = [...document.querySelectorAll("figure svg[role=img]")].flatMap(svg => {
  const frame = svg.getBoundingClientRect();
  return frame.width === 0 ? [] : [...svg.querySelectorAll("text")].filter(text => {
    const box = text.getBoundingClientRect();
    return box.left < frame.left - 1 || box.right > frame.right + 1 || box.bottom > frame.bottom + 1;
  }).map(text => text.textContent);
});
const figures = [...document.querySelectorAll("figure")].map(
  f => [...f.querySelectorAll("svg[role=img]")].filter(s => s.getBoundingClientRect().width > 0).length);
const smallest = Math.min(...[...document.querySelectorAll("figure svg text")].filter(
  t => t.getBoundingClientRect().width > 0).map(t => {
    const svg = t.ownerSVGElement;
    return parseFloat(getComputedStyle(t).fontSize) * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
  }));
parent.document.documentElement.setAttribute("data-measured", JSON.stringify({
  innerWidth, scrollWidth: document.documentElement.scrollWidth, wide: wide.map(e => e.tagName + " " + e.className),
  clipped, figures, smallest}));
</script>
"""


LONG = {"fedavg": "fedavg-with-momentum", "gossip": "gossip-base-3-graph"}
LONG_ORGANS = {"Parotid_L": "Glnd_Submand_L", "Parotid_R": "Musc_Constrict_Sup"}
LONG_SITE = "University Medical Centre, Department of Radiation Oncology"


def page_of(study, folder):
    write_cases(folder / "cases.csv", study[1])
    return render(study[0], folder / "cases.csv")


def with_long_names(study):
    """The same study with the longest names that one meets."""
    results, rows = study
    runs = tuple(
        run.model_copy(update={"arm": LONG.get(run.arm, run.arm), "schedule": run.schedule + ", rate 0.0003"})
        for run in results.runs
    )
    structures = tuple(LONG_ORGANS.get(organ, organ) for organ in results.structures)
    rows = [
        replace(
            row,
            arm=LONG.get(row.arm, row.arm),
            schedule=row.schedule + ", rate 0.0003",
            organ=LONG_ORGANS.get(row.organ, row.organ),
            site=LONG_SITE if row.site == "A" else row.site,
        )
        for row in rows
    ]
    return results.model_copy(update={"runs": runs, "structures": structures}), rows


def measured(html, width, folder):
    """What the page looks like in a frame of this width; a window cannot be as narrow as a telephone."""
    framed = escape(html.replace("</body>", MEASURE + "</body>"))
    page = folder / "page.html"
    page.write_text(
        f'<!DOCTYPE html><iframe style="border:0;width:{width}px;height:900px" srcdoc="{framed}"></iframe>',
        encoding="utf-8",
    )
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={folder / 'profile'}", "--hide-scrollbars", "--window-size=1400,1000",
        "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    dom = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True).stdout
    found = re.search(r'<html data-measured="([^"]*)"', dom).group(1)
    return json.loads(found.replace("&quot;", '"'))


@pytest.mark.parametrize("variant", [lambda study: study, with_long_names], ids=["usual names", "long names"])
@pytest.mark.parametrize("width", [1280, 390])
def test_page_fits_its_window_and_figures_stay_legible(study, tmp_path, width, variant):
    seen = measured(page_of(variant(study), tmp_path), width, tmp_path)
    assert seen["innerWidth"] == width
    assert seen["scrollWidth"] <= width
    assert seen["wide"] == []
    assert seen["clipped"] == []
    assert seen["figures"] == [1] * 6, "each figure is drawn once, for this width"
    assert seen["smallest"] >= 11.0
