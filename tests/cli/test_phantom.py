"""``gossamer phantom``: what its options ask for. What is drawn is tested with the phantom."""

import pytest
import typer
from typer.testing import CliRunner

from gossamer.cli.phantom import phantom
from gossamer.errors import DiskFullError, UsageError

app = typer.Typer()
app.command()(phantom)


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def asked(monkeypatch):
    """What the cohort was asked for, instead of a cohort."""
    calls = []

    def write_cohort(out, *, on_patient, **wanted):
        calls.append({"out": out, **wanted})
        on_patient()
        return [out / site for site in "ABCD"]

    monkeypatch.setattr("gossamer.data.phantom.write_cohort", write_cohort)
    return calls


def test_folders_go_to_stdout_one_a_line_and_words_to_stderr(asked, tmp_path):
    done = run("--out", tmp_path)
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [str(tmp_path / site) for site in "ABCD"]
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["drawing patients …", "drawing patients"]


def test_patients_that_are_not_for_validation_or_test_are_for_training(asked, tmp_path):
    run("-o", tmp_path, "--patients", 10, "--val", 3, "--test", 2, "--region", "head-neck", "--seed", 7)
    run("-o", tmp_path)
    assert asked == [
        {"out": tmp_path, "region": "head-neck", "train": 5, "val": 3, "test": 2, "seed": 7},
        {"out": tmp_path, "region": "abdomen", "train": 10, "val": 2, "test": 0, "seed": 0},
    ]


def test_nobody_to_train_on_is_an_error_of_usage(asked, tmp_path):
    done = run("-o", tmp_path, "--patients", 3, "--val", 2, "--test", 1)
    assert isinstance(done.exception, UsageError)
    assert done.exception.exit_status == 2
    assert str(done.exception) == (
        "wanted patients to train on; found 3 patients, 2 for validation and 1 for the test; raise --patients"
    )
    assert asked == []


@pytest.mark.parametrize(
    "arguments", [(), ("--region", "knee"), ("--patients", 0), ("--val", -1), ("--seed", -1), ("--no-such-option",)]
)
def test_a_wrong_command_line_ends_with_status_2(asked, tmp_path, arguments):
    done = run(*(("-o", tmp_path, *arguments) if arguments else ()))
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Usage:" in done.stderr
    assert asked == []


def test_a_full_disk_is_told_by_its_own_status(monkeypatch, tmp_path):
    def no_room(*_arguments, **_wanted):
        raise DiskFullError(
            "wanted to write case a1; found no room on its disk; free some and run the same command again"
        )

    monkeypatch.setattr("gossamer.data.phantom.write_cohort", no_room)
    done = run("-o", tmp_path, "--patients", 1, "--val", 0)
    assert isinstance(done.exception, DiskFullError)
    assert (done.exception.exit_status, done.stdout) == (6, "")
