"""A finished study scored under other ways to make masks: under its own way it has its own scores."""

import json

import pytest

from benchmarks import masks
from gossamer.study.comparison import compare
from gossamer.study.scores import read_cases

ALL_PIECES = "windows overlap by half, all pieces"


@pytest.mark.usefixtures("quick_intervals")
def test_each_way_has_a_row_and_the_study_s_own_way_its_own_scores(finished_study, toy_home, monkeypatch, capsys):
    plan = json.loads((finished_study.folder / "plan.json").read_text())
    [run, *_] = [run for run in finished_study.results.runs if run.chosen and run.arm == "gossip"]
    results = finished_study.results.model_copy(update={"runs": (run,)})
    own = masks.Way(one_piece=True, overlap=plan["overlap"])
    monkeypatch.setattr(masks, "read_results", lambda folder: results)
    monkeypatch.setattr(masks, "WAYS", {"own": own, ALL_PIECES: masks.WAYS[ALL_PIECES]})
    words = ["masks", str(finished_study.folder), "--on", str(toy_home / "data"), "--threads", "1"]
    monkeypatch.setattr("sys.argv", words)
    masks.main()
    heading, _, as_it_is, all_pieces = capsys.readouterr().out.splitlines()
    assert heading == "| masks: DSC, HD95 (mm) | gossip |"
    assert all_pieces.startswith(f"| {ALL_PIECES} | 0.")
    name = (run.arm, run.schedule, run.seed)
    rows = read_cases(finished_study.folder / "cases.csv")
    rows = [row for row in rows if (row.arm, row.schedule, row.seed) == name]
    [expected] = compare(results, rows).arms
    assert as_it_is == f"| own | {expected.dsc.estimate:.3f}, {expected.hd95_mm.estimate:.1f} |"
