"""A locked set is scored when all else is finished, and every opening stays on record."""

import json
from datetime import datetime
from pathlib import Path

import pytest

from gossamer.errors import DatasetError, FolderBusyError, UsageError
from gossamer.only_writer import only_writer
from gossamer.study import locked as locked_module
from gossamer.study.locked import score_locked
from gossamer.study.outcome import read_results
from gossamer.study.run import run_study
from gossamer.study.scores import read_cases

pytestmark = pytest.mark.usefixtures("quick_intervals")


@pytest.fixture
def clock(monkeypatch):
    """Openings a minute apart."""

    class Clock(datetime):
        minute = -1

        @classmethod
        def now(cls, tz=None):
            cls.minute += 1
            return datetime(2026, 3, 2, 9, cls.minute, tzinfo=tz)

    monkeypatch.setattr(locked_module, "datetime", Clock)
    return Clock


def opening(minute):
    return f"2026-03-02T09:0{minute}:00+00:00"


def test_locked_scores_join_results_rows_and_report(own_finished, toy_home, clock, witness):
    before = read_results(own_finished)
    results = score_locked(own_finished, toy_home / "data", "test", witness)
    assert results.runs == before.runs
    [locked] = results.locked
    assert (locked.set_name, locked.split, locked.opened_at) == ("data:test", "test", (opening(0),))
    assert len(locked.sha256) == 64
    assert [(run.arm, run.schedule, run.seed) for run in locked.runs] == [
        (run.arm, run.schedule, run.seed) for run in before.runs
    ]
    rows = read_cases(own_finished / "cases.csv")
    mine = [row for row in rows if row.set == "data:test"]
    assert {row.case for row in mine} == {"A-test-0", "B-test-0"}
    assert len(mine) == 10 * 2 * 3  # runs, patients, organs
    for run in locked.runs:
        for site in run.sites:
            for organ in site.organs:
                [found] = [
                    row.dsc for row in mine
                    if (row.arm, row.schedule, row.seed, row.site, row.organ)
                    == (run.arm, run.schedule, run.seed, site.site, organ.organ)
                ] or [None]  # fmt: skip
                assert organ.dsc == found
    assert read_results(own_finished) == results
    page = (own_finished / "report.html").read_text()
    assert "data:test" in page
    assert opening(0) in page
    [task] = witness.tasks
    assert task.done == task.total == 10 * 2


def test_each_opening_is_kept_and_rows_count_once(own_finished, toy_home, clock, witness):
    first = score_locked(own_finished, toy_home / "data", "test", witness)
    rows = read_cases(own_finished / "cases.csv")
    second = score_locked(own_finished, toy_home / "data", "test", witness)
    assert second.locked[0].opened_at == (opening(0), opening(1))
    assert second.locked[0].sha256 == first.locked[0].sha256
    assert read_cases(own_finished / "cases.csv") == rows


def test_opening_that_was_interrupted_counts_too(own_finished, toy_home, clock, witness, monkeypatch):
    class PowerCut(BaseException):
        pass

    def cut(*_, **__):
        raise PowerCut

    with monkeypatch.context() as patch:
        patch.setattr(locked_module, "score_patients", cut)
        with pytest.raises(PowerCut):
            score_locked(own_finished, toy_home / "data", "test", witness)
    assert read_results(own_finished).locked == ()  # the report still stands
    results = score_locked(own_finished, toy_home / "data", "test", witness)
    assert results.locked[0].opened_at == (opening(0), opening(1))


def test_study_run_again_keeps_the_locked_scores(own_finished, toy_home, toy_settings, clock, witness):
    results = score_locked(own_finished, toy_home / "data", "test", witness)
    rows = read_cases(own_finished / "cases.csv")
    assert run_study(toy_settings, home=toy_home, folder=own_finished) == results
    assert read_cases(own_finished / "cases.csv") == rows


@pytest.mark.parametrize("split", ["train", "val"])
def test_split_the_study_has_seen_is_refused(own_finished, toy_home, witness, split):
    with pytest.raises(UsageError, match=f"found '{split}', which it trained on or chose by; take --split test"):
        score_locked(own_finished, toy_home / "data", split, witness)
    assert not (own_finished / "openings.json").exists()


def test_set_without_patients_is_refused(own_finished, own_home, witness):
    for site in "AB":
        description = own_home / "data" / site / "dataset.json"
        description.write_text(description.read_text().replace('"split": "test"', '"split": "train"'))
    with pytest.raises(DatasetError, match="wanted patients of split 'test'; found none in 'data'"):
        score_locked(own_finished, own_home / "data", "test", witness)


def test_unfinished_study_is_refused(tmp_path, toy_home, witness):
    with pytest.raises(UsageError, match="wanted the folder of a finished study"):
        score_locked(tmp_path, toy_home / "data", "test", witness)


def test_set_that_has_changed_since_it_was_opened_is_refused(own_finished, own_home, clock, witness):
    score_locked(own_finished, own_home / "data", "test", witness)
    before = (own_finished / "results.json").read_bytes()
    description = own_home / "data/A/dataset.json"
    description.write_text(description.read_text().replace("A-test-0", "A-test-1"))
    (own_home / "data/A/A-test-0").rename(own_home / "data/A/A-test-1")
    with pytest.raises(DatasetError, match="found that its patients or their data have changed"):
        score_locked(own_finished, own_home / "data", "test", witness)
    assert (own_finished / "results.json").read_bytes() == before
    assert len(json.loads((own_finished / "openings.json").read_text())["opened_at"]["data:test"]) == 1


def test_set_of_other_data_than_the_study_s_is_scored_and_noted(own_finished, own_home, clock, witness):
    description = own_home / "data/A/dataset.json"
    description.write_text(description.read_text().replace("A-test-0", "A-test-1"))
    (own_home / "data/A/A-test-0").rename(own_home / "data/A/A-test-1")
    (own_home / "data").rename(own_home / "acceptance")
    results = score_locked(own_finished, own_home / "acceptance", "test", witness)
    assert results.locked[0].set_name == "acceptance:test"
    assert [note for note in results.notes if "could not be checked" in note] == [
        "locked set acceptance:test: the data of A are not the datasets of the study; that no patient of the set was "
        "trained on could not be checked"
    ]


def test_set_in_the_folder_one_stands_in_has_a_name(own_finished, toy_home, clock, witness, monkeypatch):
    monkeypatch.chdir(toy_home / "data")
    assert score_locked(own_finished, Path(), "test", witness).locked[0].set_name == "data:test"


def test_a_study_that_runs_is_not_scored(own_finished, toy_home, witness):
    with only_writer(own_finished), pytest.raises(FolderBusyError):
        score_locked(own_finished, toy_home / "data", "test", witness)


def test_locked_patients_are_predicted_as_the_study_predicted(own_finished, toy_home, witness, monkeypatch):
    recipes = []
    scored = locked_module.score_patients

    def watched(*arguments, recipe, **rest):
        recipes.append(recipe)
        return scored(*arguments, recipe=recipe, **rest)

    monkeypatch.setattr(locked_module, "score_patients", watched)
    results = score_locked(own_finished, toy_home / "data", "test", witness)
    kept = results.environment
    assert {(str(recipe.threads), recipe.precision) for recipe in recipes} == {(kept["threads"], kept["precision"])}
