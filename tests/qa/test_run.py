"""A dataset is looked at: pages that hold all they need, for their owner alone, and made once."""

import json
import re
import shutil
import stat
from html.parser import HTMLParser

import numpy as np
import pytest
from tests.conftest import write_toy_site

from gossamer.data.dataset import Dataset, DatasetWriter
from gossamer.data.frame import Frame
from gossamer.data.image import Image, read_nifti, write_nifti
from gossamer.errors import DataError, DatasetError, UsageError
from gossamer.qa.run import find_datasets, look_at_dataset, look_at_one


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr("os.fsync", lambda _descriptor: None)


@pytest.fixture
def dataset(tmp_path):
    return write_toy_site(tmp_path / "data" / "C", "C", {"train": 2, "val": 1}, public=False)


class Tags(HTMLParser):
    """Elements that a browser would load from elsewhere, or run."""

    def __init__(self, text):
        super().__init__()
        self.text, self.foreign, self.open, self.closed = [], [], [], 0
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        for name, value in attributes:
            if name in ("src", "href", "xlink:href") and not re.match(
                r"#|data:image/png|cases/|\.\./index", value or ""
            ):
                self.foreign.append((tag, value))
            if name.startswith("on"):
                self.foreign.append((tag, name))
        if tag in ("script", "link", "iframe", "object", "img"):
            self.foreign.append((tag, ""))

    def handle_data(self, data):
        self.text.append(data.strip())


def read(path):
    tags = Tags(path.read_text(encoding="utf-8"))
    assert tags.foreign == []
    return " ".join(filter(None, tags.text))


def test_a_mask_that_lost_its_voxels_is_named_and_does_not_end_the_others(dataset, tmp_path):
    first = dataset.cases[0]
    organ = first.annotated[0]
    path = dataset.folder / first.id / "segmentations" / f"{organ}.nii.gz"
    emptied = read_nifti(path)
    write_nifti(path, np.zeros(emptied.voxels.shape, bool), emptied.frame)
    report = look_at_dataset(dataset, tmp_path / "out")
    assert report.failed.keys() == {first.id}
    assert f"case {first.id}: wanted the mask of {organ}, which is said to be drawn" in report.failed[first.id]
    assert report.drawn == 2
    assert report.failed[first.id].split(";")[0] in read(report.index)


def test_each_case_has_a_page_with_all_its_structures_and_says_that_it_must_not_leave(dataset, tmp_path):
    report = look_at_dataset(dataset, tmp_path / "qa")
    assert (report.drawn, report.kept, report.failed) == (3, 0, {})
    for case in dataset.cases:
        page = tmp_path / "qa" / "cases" / f"{case.id}.html"
        text = read(page)
        assert "For local eyes only: this page shows a patient, and never leaves the site." in text
        figures = re.findall(r"<figure>.*?</figure>", page.read_text(encoding="utf-8"), re.DOTALL)
        for name in case.annotated:
            assert sum(f"<title>{name}</title>" in figure for figure in figures) >= 3, name
        assert "All structures that this hospital draws are drawn here." in text
        volume_ml = dataset.read_masks(case)["Kidney_L"].sum() * 8 / 1000
        assert f"Kidney_L {volume_ml:.1f}" in text
    index = read(report.index)
    assert "For local eyes only: these pages show patients" in index
    assert all(f'href="cases/{case.id}.html"' in report.index.read_text() for case in dataset.cases)
    numbers = json.loads((tmp_path / "qa" / "statistics.json").read_text())
    assert {organ["organ"]: organ["drawn"] for organ in numbers["organs"]} == {"Kidney_L": 3, "Prostate": 3}


def test_what_a_hospital_draws_and_this_case_lacks_is_named(tmp_path):
    dataset = write_toy_site(tmp_path / "A", "A", {"train": 1})
    writer = DatasetWriter(tmp_path / "A", "A")
    [whole] = dataset.cases
    writer.keep(whole)
    masks = dataset.read_masks(whole)
    writer.add("second", "val", dataset.read_image(whole), {"Prostate": masks["Prostate"]})
    look_at_dataset(writer.finish(), tmp_path / "qa")
    assert "Not drawn here, so unknown: Kidney_L, Kidney_R." in read(tmp_path / "qa" / "cases" / "second.html")
    assert "the same CT, voxel for voxel, as second: one patient twice?" in read(tmp_path / "qa" / "index.html")


def test_all_that_is_written_is_for_its_owner_alone(dataset, tmp_path):
    look_at_dataset(dataset, tmp_path / "qa")
    found = {path: stat.S_IMODE(path.stat().st_mode) for path in [tmp_path / "qa", *(tmp_path / "qa").rglob("*")]}
    assert len(found) == 2 + 2 + 2 * 3
    assert {mode for path, mode in found.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in found.items() if path.is_file()} == {0o600}


def test_unchanged_cases_keep_their_pages_and_changed_ones_get_new_ones(dataset, tmp_path):
    out = tmp_path / "qa"
    look_at_dataset(dataset, out)
    first, second, third = (out / "cases" / f"{case.id}.html" for case in dataset.cases)
    before = {path: path.stat().st_mtime_ns for path in (first, second, third)}
    again = look_at_dataset(dataset, out)
    assert (again.drawn, again.kept) == (0, 3)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    first.write_text("somebody wrote here")
    second.with_suffix(".json").write_text("{")
    again = look_at_dataset(dataset, out)
    assert (again.drawn, again.kept) == (2, 1)
    assert "somebody" not in first.read_text()
    [gone, *others] = dataset.cases
    shutil.rmtree(dataset.folder)
    writer = DatasetWriter(dataset.folder, "C")
    image = Image(np.zeros((6, 8, 8), np.int16), Frame.canonical((6, 8, 8), (2.0, 2.0, 2.0)))
    mask = np.zeros((6, 8, 8), bool)
    mask[2:4, 2:4, 2:4] = True
    for case in others:
        writer.add(case.id, "train", image, {"Prostate": mask})
    again = look_at_dataset(writer.finish(), out)
    assert (again.drawn, again.kept) == (2, 0)
    assert not (out / "cases" / f"{gone.id}.html").exists()


def test_predictions_are_drawn_dashed_and_strange_names_stay_text(dataset, tmp_path):
    case = dataset.cases[0]
    image, masks = dataset.read_image(case), dataset.read_masks(case)
    folder = tmp_path / "predicted" / case.id / "segmentations"
    folder.mkdir(parents=True)
    moved = np.roll(masks["Kidney_L"], 1, axis=1)
    write_nifti(folder / "Kidney_L.nii.gz", moved, image.frame)
    write_nifti(folder / "<script>.nii.gz", moved, image.frame)
    page = look_at_one(dataset, case.id, tmp_path / "qa", tmp_path / "predicted")
    assert 'class="found"' in page.read_text()
    assert "predicted" in read(page)
    assert "<script>" not in page.read_text()
    assert "&lt;script&gt;" in page.read_text()
    assert not (tmp_path / "qa" / "index.html").exists()


def test_a_case_that_cannot_be_read_is_named_and_the_others_are_drawn(dataset, tmp_path):
    broken, *_ = dataset.cases
    (dataset.folder / broken.id / "ct.nii.gz").write_bytes(b"no image")
    report = look_at_dataset(dataset, tmp_path / "qa")
    assert (report.drawn, list(report.failed)) == (2, [broken.id])
    assert f"{broken.id} : case {broken.id}, image: wanted NIfTI" in read(report.index)
    for case in dataset.cases:
        (dataset.folder / case.id / "ct.nii.gz").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"site C: wanted a case to look at; found 3, none of which can be read"):
        look_at_dataset(Dataset.open(dataset.folder), tmp_path / "other")


def test_datasets_are_found_in_a_folder_or_one_below(dataset, tmp_path):
    write_toy_site(tmp_path / "data" / "A", "A", {"train": 1})
    assert [one.site for one in find_datasets(tmp_path / "data")] == ["A", "C"]
    assert [one.site for one in find_datasets(tmp_path / "data" / "C")] == ["C"]
    (tmp_path / "none").mkdir()
    with pytest.raises(DatasetError, match=r"wanted a dataset, or a folder of datasets; found no dataset\.json"):
        find_datasets(tmp_path / "none")


def test_a_case_that_is_not_there_is_refused_without_repeating_its_name(dataset, tmp_path):
    with pytest.raises(UsageError, match="found none of the name given with --case among its 3") as caught:
        look_at_one(dataset, "Doe^John", tmp_path / "qa")
    assert "Doe" not in str(caught.value)
