"""Importing goes on where it was stopped, sets a bad case aside, and ends when too many are bad or a worker dies."""

import multiprocessing
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gossamer.bounded_pool import Bounds
from gossamer.data.dataset import Dataset
from gossamer.data.frame import Frame
from gossamer.data.image import Image
from gossamer.data.importers import run as importers_run
from gossamer.data.importers.label_map import LabelMapCase
from gossamer.data.importers.run import import_cases
from gossamer.data.importers.source import CaseLeftOutError, CaseSource, LoadedCase
from gossamer.data.importers.table import TableCase
from gossamer.errors import (
    DatasetError,
    DiskFullError,
    NoTrainingCaseError,
    TooManyBadCasesError,
    UnreadableImageError,
)

LOADED: list[str] = []


@dataclass(frozen=True)
class ACase(CaseSource):
    """A case without files, that can be bad or left out."""

    found_at: str = "A"
    fault: Exception | None = None

    @property
    def files(self) -> Sequence[Path]:
        return ()

    @property
    def settings(self) -> Any:
        return self.found_at

    def load(self) -> LoadedCase:
        LOADED.append(self.id)
        if self.fault:
            raise self.fault
        mask = np.zeros((4, 5, 6), dtype=bool)
        mask[1:3, 1:3, 1:3] = True
        image = Image(np.zeros(mask.shape, dtype=np.int16), Frame.canonical(mask.shape, (3.0, 1.0, 1.0)))
        return LoadedCase(self.found_at, image, {"Liver": mask}, ("Liver",))


TORN = UnreadableImageError("wanted an image; found a torn file; copy it again")


@pytest.fixture(autouse=True)
def _nothing_loaded_yet():
    LOADED.clear()


def cases(count, site="A", bad=(), split="train", **kwargs):
    return [
        ACase(f"{site.lower()}{n}", split, (site,), site, TORN if n in bad else None, **kwargs) for n in range(count)
    ]


def test_each_site_gets_a_dataset_of_its_own(tmp_path):
    imported = import_cases([*cases(2, "B"), *cases(3, "A")], tmp_path, public=True)
    assert [(d.site, d.folder, d.public, len(d.cases)) for d in imported.datasets] == [
        ("A", tmp_path / "A", True, 3),
        ("B", tmp_path / "B", True, 2),
    ]
    assert (imported.kept, imported.written, imported.failed, imported.left_out) == (0, 5, {}, ())
    assert Dataset.open(tmp_path / "A").sha256 == imported.datasets[0].sha256


def test_progress_is_told_for_every_case_in_order(tmp_path):
    told = []
    import_cases(cases(3, bad={1}), tmp_path, on_case=told.append)
    assert told == ["a0", "a1", "a2"]


def test_a_second_run_reads_nothing_and_leaves_the_same_dataset(tmp_path):
    first = import_cases(cases(3), tmp_path)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nii.gz")}
    LOADED.clear()
    second = import_cases(cases(3), tmp_path)
    assert LOADED == []
    assert (second.kept, second.written) == (3, 0)
    assert second.datasets[0].description == first.datasets[0].description
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nii.gz")} == times


def test_a_case_that_changed_at_its_source_is_read_again_alone(tmp_path):
    import_cases(cases(3), tmp_path)
    LOADED.clear()
    changed = [replace(case, split="val") if case.id == "a1" else case for case in cases(3)]
    imported = import_cases(changed, tmp_path)
    assert LOADED == ["a1"]
    assert [case.split for case in imported.datasets[0].cases] == ["train", "val", "train"]


def test_a_case_damaged_in_the_dataset_is_repaired_by_importing_again(tmp_path):
    (before,) = import_cases(cases(3), tmp_path).datasets
    (tmp_path / "A/a1/ct.nii.gz").write_bytes(b"bit rot")
    (tmp_path / "A/a2/segmentations/Liver.nii.gz").unlink()
    imported = import_cases(cases(3), tmp_path)
    assert (imported.kept, imported.written) == (1, 2)
    imported.datasets[0].verify()
    assert imported.datasets[0].sha256 == before.sha256


def test_an_interrupted_import_goes_on_and_ends_as_if_it_had_not_been(tmp_path):
    def stop(case_id):
        if case_id == "a1":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_cases(cases(4), tmp_path / "one", on_case=stop)
    with pytest.raises(DatasetError, match="run the import that makes it"):
        Dataset.open(tmp_path / "one/A")
    LOADED.clear()
    imported = import_cases(cases(4), tmp_path / "one")
    assert LOADED == ["a2", "a3"]
    assert (imported.kept, imported.written) == (2, 2)
    (whole,) = import_cases(cases(4), tmp_path / "two").datasets
    assert imported.datasets[0].sha256 == whole.sha256


def test_one_bad_case_is_set_aside_named_and_does_not_end_the_run(tmp_path):
    (dataset,) = import_cases(cases(4, bad={2}), tmp_path).datasets
    assert [case.id for case in dataset.cases] == ["a0", "a1", "a3"]
    assert [(bad.case, bad.reason) for bad in dataset.set_aside] == [("a2", str(TORN))]


def test_a_case_that_is_bad_no_more_comes_in_with_the_next_run(tmp_path):
    import_cases(cases(4, bad={2}), tmp_path)
    imported = import_cases(cases(4), tmp_path)
    assert (imported.kept, imported.written, imported.datasets[0].set_aside) == (3, 1, ())


def test_too_many_bad_cases_end_their_site_and_no_other(tmp_path):
    imported = import_cases([*cases(3, "A", bad={0, 2}), *cases(2, "B")], tmp_path)
    assert [dataset.site for dataset in imported.datasets] == ["B"]
    assert list(imported.failed) == ["A"]
    assert isinstance(imported.failed["A"], TooManyBadCasesError)
    assert "wanted at most 1 bad cases of 3 (5%); found 2:\n  a0: wanted an image" in str(imported.failed["A"])
    assert not (tmp_path / "A/dataset.json").exists()
    allowed = import_cases(cases(3, "A", bad={0, 2}), tmp_path, max_set_aside=0.7)
    assert [case.id for case in allowed.datasets[0].cases] == ["a1"]


def test_a_single_bad_case_can_be_forbidden(tmp_path):
    assert list(import_cases(cases(20, bad={3}), tmp_path, max_set_aside=0.0).failed) == ["A"]


def test_a_site_without_training_cases_fails_and_a_locked_test_set_does_not(tmp_path):
    imported = import_cases([*cases(1, "A", split="val"), *cases(2, "T", split="test")], tmp_path)
    assert isinstance(imported.failed["A"], NoTrainingCaseError)
    assert [dataset.site for dataset in imported.datasets] == ["T"]


def test_a_site_of_bad_cases_only_fails(tmp_path):
    assert list(import_cases(cases(1, bad={0}), tmp_path).failed) == ["A"]


def test_cases_that_the_sets_own_rules_leave_out_are_not_bad(tmp_path):
    left_out = [replace(case, id=f"x{n}", fault=CaseLeftOutError("too short")) for n, case in enumerate(cases(3))]
    imported = import_cases([*cases(2), *left_out], tmp_path)
    assert [(case.case, case.reason) for case in imported.left_out] == [(f"x{n}", "too short") for n in range(3)]
    assert imported.datasets[0].set_aside == ()


def test_a_site_known_only_after_loading_gets_its_cases(tmp_path):
    unsure = [ACase(f"p{n}", "train", ("A", "B", "C"), site) for n, site in enumerate("BAB")]
    imported = import_cases(unsure, tmp_path)
    assert {d.site: [case.id for case in d.cases] for d in imported.datasets} == {"A": ["p1"], "B": ["p0", "p2"]}
    LOADED.clear()
    assert import_cases(unsure, tmp_path).kept == 3
    assert LOADED == []


def test_a_bad_case_of_nobody_ends_the_run(tmp_path):
    with pytest.raises(UnreadableImageError):
        import_cases([ACase("p0", "train", ("A", "B"), "A", TORN)], tmp_path)


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ([], "wanted cases to import; found none; check that the folder or index is the right one"),
        ([*cases(2), *cases(1)], "site A: wanted each case id once, ignoring case; found a0 twice"),
        ([replace(cases(1)[0], id="../a0")], "site A, case id: wanted 1 to 64 letters"),
        ([replace(cases(1)[0], sites=("../A",))], "site: wanted 1 to 64 letters"),
    ],
)
def test_what_cannot_be_a_dataset_is_refused_before_anything_is_written(tmp_path, sources, message):
    with pytest.raises(DatasetError, match=message):
        import_cases(sources, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert LOADED == []


def test_two_hospitals_may_have_cases_of_one_id(tmp_path):
    twins = [ACase("p1", "train", (site,), site) for site in "AB"]
    assert len(import_cases(twins, tmp_path).datasets) == 2


def test_the_folder_of_another_site_is_not_overwritten(tmp_path):
    import_cases(cases(1, "A"), tmp_path)
    (tmp_path / "A").rename(tmp_path / "B")
    with pytest.raises(DatasetError, match="found the dataset of site A, in B; give another --out"):
        import_cases(cases(1, "B"), tmp_path)


def test_a_full_disk_ends_the_run_and_the_next_goes_on(tmp_path, monkeypatch):
    def fill_up(case_id):
        def no_room(_descriptor):
            raise OSError(28, "No space left on device")

        if case_id == "a1":
            monkeypatch.setattr("os.fsync", no_room)

    with pytest.raises(DiskFullError, match="found no room on its disk; free some and run the same command again"):
        import_cases(cases(4), tmp_path, on_case=fill_up)
    monkeypatch.setattr("os.fsync", lambda _descriptor: None)
    assert sorted(path.name for path in (tmp_path / "A").iterdir()) == ["a0", "a1"], "nothing half-written"
    imported = import_cases(cases(4), tmp_path)
    assert (imported.kept, imported.written) == (2, 2)
    imported.datasets[0].verify()


def test_a_killed_worker_and_a_case_without_end_cost_that_case_alone(tmp_path, write_patient, monkeypatch):
    for n in range(3):
        write_patient(tmp_path / f"p{n}_ct.nii.gz", tmp_path / f"p{n}_oar.nii.gz")
    stuck = tmp_path / "p1_ct.nii.gz"
    stuck.rename(tmp_path / "kept.nii.gz")
    os.mkfifo(stuck)  # whoever reads it waits for ever
    listed = [
        TableCase(
            f"p{n}", "train", ("A",), tmp_path / f"p{n}_ct.nii.gz", tmp_path / f"p{n}_oar.nii.gz",
            labels=(("Liver", (1,)),), known_values=(1, 2), complete=("Liver",), notes=(),
        )
        for n in range(3)
    ]  # fmt: skip

    def kill_the_workers(case_id):
        for worker in multiprocessing.active_children() if case_id == "p0" else ():
            worker.kill()

    left = tmp_path / "out/A/.p1.unfinished"  # as of a worker that was killed while it wrote
    left.mkdir(parents=True)
    monkeypatch.setattr(importers_run, "bounds", lambda files: Bounds(2**31, 1.0 if stuck in files else 120.0))
    imported = import_cases(listed, tmp_path / "out", workers=2, on_case=kill_the_workers, max_set_aside=0.5)
    [dataset] = imported.datasets
    assert [case.id for case in dataset.cases] == ["p0", "p2"]
    [bad] = dataset.set_aside
    assert bad.reason.startswith(
        "case p1: wanted a case that can be read within its bounds; found that it takes more than 1 s; export its files"
    )
    assert not left.exists()
    (tmp_path / "kept.nii.gz").replace(tmp_path / "p1_ct.nii.gz")
    imported = import_cases(listed, tmp_path / "out")
    assert (imported.kept, imported.written) == (2, 1)
    imported.datasets[0].verify()


def test_the_key_of_a_case_changes_with_its_files_and_settings_and_not_with_their_place(tmp_path):
    def case(folder, **changes):
        facts = {"labels": (("Liver", (1,)),), "known_values": (1,), **changes}
        return LabelMapCaseOfTest("p1", "train", ("A",), folder / "ct.nii", folder / "oar.nii", **facts)

    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        for name in ("ct.nii", "oar.nii"):
            (folder / name).write_bytes(b"abc")
            os.utime(folder / name, (1e9, 1e9))
    key = case(tmp_path / "one").made_from()
    assert case(tmp_path / "two").made_from() == key
    assert case(tmp_path / "one", known_values=(1, 2)).made_from() != key
    assert replace(case(tmp_path / "one"), split="val").made_from() != key
    os.utime(tmp_path / "one/oar.nii", (2e9, 2e9))
    assert case(tmp_path / "one").made_from() != key


class LabelMapCaseOfTest(LabelMapCase):
    """A label map whose key is looked at only."""

    def load(self) -> LoadedCase:
        raise NotImplementedError
