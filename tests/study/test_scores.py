"""Rows of ``cases.csv`` and their means."""

import csv
import errno
import math
import os
from dataclasses import replace
from pathlib import Path

import pytest

from gossamer.errors import DiskFullError, StorageError
from gossamer.study.results import CASE_COLUMNS
from gossamer.study.scores import CaseScore, append_cases, read_cases, summarise, write_cases

ROW = CaseScore("val", "gossip", "1 patch, every 5", 0, "A", "A-001", "SpinalCord", 0.1 + 0.2, 2 / 3, 4.25, 310, 287)


def test_reading_gives_back_the_same_bits(tmp_path):
    rows = (ROW, replace(ROW, case='B "two", lines\nand ü', dsc=5e-324, surface_dsc=math.nan, hd95_mm=math.nan))
    write_cases(tmp_path / "cases.csv", rows)
    assert read_cases(tmp_path / "cases.csv") == rows


def test_header_is_the_documented_one(tmp_path):
    write_cases(tmp_path / "cases.csv", [ROW])
    with (tmp_path / "cases.csv").open(newline="") as file:
        header, values = csv.reader(file)
    assert tuple(header) == CASE_COLUMNS
    assert values[:7] == ["val", "gossip", "1 patch, every 5", "0", "A", "A-001", "SpinalCord"]
    assert [float(v) for v in values[7:]] == [0.1 + 0.2, 2 / 3, 4.25, 310, 287]


def test_rows_scored_again_replace_the_former_ones_and_keep_their_place(tmp_path):
    path = tmp_path / "cases.csv"
    other = replace(ROW, seed=1)
    append_cases(path, [ROW, other])
    append_cases(path, [replace(ROW, dsc=0.9), replace(ROW, set="test")])
    assert read_cases(path) == (replace(ROW, dsc=0.9), other, replace(ROW, set="test"))


def test_full_disk_keeps_the_former_file_and_leaves_no_draft(tmp_path, monkeypatch):
    path = tmp_path / "cases.csv"
    write_cases(path, [ROW])

    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFullError, match="free some"):
        append_cases(path, [replace(ROW, seed=1)])
    assert read_cases(path) == (ROW,)
    assert [p.name for p in tmp_path.iterdir()] == ["cases.csv"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "found none"),
        ("arm,dsc\n", "found arm, dsc"),
        (",".join(CASE_COLUMNS) + "\nval,gossip\n", "line 2"),
        (",".join(CASE_COLUMNS) + "\nval,gossip,s,0,A,c,o,high,,,1,1\n", "'high'"),
        (b"\xff\xfe", "no readable cases.csv"),
    ],
)
def test_damaged_file_is_refused_with_the_place(tmp_path, text, found):
    path = tmp_path / "cases.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(StorageError, match=found):
        read_cases(path)


def test_absent_file_says_what_to_do(tmp_path):
    with pytest.raises(StorageError, match="run the study first"):
        read_cases(Path(tmp_path) / "cases.csv")


def test_means_are_over_the_patients_in_whom_the_organ_is_complete():
    scores = [("1", 0.5, 0.6, 4.0, 9), ("2", 0.7, 0.8, 8.0, 9), ("3", 0.0, 0.0, math.nan, 0)]
    cord = [
        replace(ROW, case=case, dsc=dsc, surface_dsc=surface, hd95_mm=hd95, predicted_voxels=voxels)
        for case, dsc, surface, hd95, voxels in scores
    ]
    undrawn = replace(ROW, case="4", dsc=math.nan, surface_dsc=math.nan, hd95_mm=math.nan, reference_voxels=0)
    elsewhere = replace(ROW, site="B", dsc=0.25)
    (a, b, c) = summarise(
        [*cord, undrawn, elsewhere],
        structures=("Brainstem", "SpinalCord"),
        models={"A": "models/a", "B": "models/b", "C": "models/c"},
    )
    absent, found = a.organs
    assert (a.site, a.model, absent.organ, absent.patients, absent.dsc, absent.missed) == (
        "A", "models/a", "Brainstem", 0, None, 0)  # fmt: skip
    assert (found.patients, found.missed, found.hd95_mm) == (3, 1, 6.0)
    assert found.dsc == pytest.approx(0.4)
    assert found.surface_dsc == pytest.approx(1.4 / 3)
    assert b.organs[1].dsc == 0.25
    assert c.organs[1].patients == 0
