"""``gossamer study`` as people meet it: words, tables, exit statuses, and going on after Ctrl-C or a power cut."""

import json
import re
import shutil
import signal

import pytest
from typer.testing import CliRunner

from gossamer.cli.main import app
from gossamer.study.config import read_study
from gossamer.study.presets import preset_names
from gossamer.study.results import StudyResults

pytestmark = pytest.mark.usefixtures("quick_intervals")

TIMED = {"runs": {"__all__": {"wall_s", "cpu_s"}}}


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize("preset", preset_names())
def test_new_writes_a_study_file_that_can_be_read(tmp_path, preset):
    done = run("study", "new", tmp_path / "my.toml", "--preset", preset)
    assert done.exit_code == 0
    assert done.stdout == ""
    assert "gossamer study run" in done.stderr
    compared = {"local-only", "pooled", "fedavg", "gossip"}
    if preset == "openkbp-asynchronous":
        compared = {"lockstep", "asynchronous", "alike", "alike-clipping"}
    assert read_study(tmp_path / "my.toml").arms.keys() >= compared


def test_new_does_not_write_over_a_file(tmp_path, run_main):
    (tmp_path / "my.toml").write_text("mine")
    status, _, err = run_main("study", "new", tmp_path / "my.toml")
    assert status == 2
    assert "choose another name" in err
    assert (tmp_path / "my.toml").read_text() == "mine"


def test_a_preset_runs_by_its_name_on_the_data_below_the_working_folder(toy_home, tmp_path, run_main, monkeypatch):
    monkeypatch.chdir(toy_home)
    text = (toy_home / "study.toml").read_text()
    monkeypatch.setattr("gossamer.study.presets.read_preset", {"openkbp-hn": text}.__getitem__)
    status, out, err = run_main("study", "run", "openkbp-hn", "-o", tmp_path / "out", "--dry-run")
    assert status == 0, err
    assert "hospitals" in out + err
    assert not (tmp_path / "out").exists()


def test_a_file_of_a_presets_name_goes_before_it(tmp_path, run_main, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "openkbp-hn").write_text("stepps = 1")
    status, _, err = run_main("study", "run", "openkbp-hn", "-o", "out")
    assert status == 4
    assert "study file openkbp-hn" in err


def test_dry_run_tells_what_and_how_much_and_writes_nothing(toy_home, tmp_path):
    done = run("study", "run", toy_home / "study.toml", "-o", tmp_path / "out", "--dry-run")
    assert done.exit_code == 0
    assert done.stdout == ""
    assert "10 runs of 60 patches each" in done.stderr
    assert re.search(r"disk: at most [\d.]+ MB", done.stderr)
    assert list(tmp_path.iterdir()) == []


def test_finished_study_run_again_says_so_and_shows_its_table(toy_home, own_finished):
    done = run("study", "run", toy_home / "study.toml", "-o", own_finished)
    assert done.exit_code == 0, done.output
    assert "Nothing is left to do: all 10 runs were finished before." in done.stderr
    assert "report.html: open it in a browser." in done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[-4:]] == ["local-only", "pooled", "fedavg", "gossip"]
    assert "On validation patients" in lines[0]
    assert "hospitals" not in done.stdout


def test_json_goes_to_stdout_alone(finished_study, own_finished):
    done = run("study", "report", own_finished, "--json")
    assert StudyResults.model_validate_json(done.stdout) == finished_study.results
    assert "open it in a browser" in done.stderr


def test_report_is_drawn_again_with_the_same_bytes(toy_home, own_finished):
    before = (own_finished / "report.html").read_bytes()
    done = run("study", "report", own_finished, "--images", toy_home / "data")
    assert done.exit_code == 0
    assert (own_finished / "report.html").read_bytes() == before


def test_locked_set_is_scored_and_stands_first(toy_home, own_finished):
    done = run("study", "score", own_finished, "--on", toy_home / "data", "--split", "test")
    assert done.exit_code == 0, done.output
    assert "On the locked set data:test" in done.stdout
    assert "scoring data:test: done" in done.stderr
    results = json.loads((own_finished / "results.json").read_text())
    assert len(results["locked"][0]["opened_at"]) == 1


def changed(old, new):
    def change(home):
        study = home / "study.toml"
        assert old in study.read_text()
        study.write_text(study.read_text().replace(old, new, 1))

    return change


def without_b(home):
    shutil.rmtree(home / "data/B")


def without_training_at_c(home):
    description = home / "data/C/dataset.json"
    description.write_text(description.read_text().replace('"split": "train"', '"split": "test"'))


@pytest.mark.parametrize(
    ("spoil", "code", "words"),
    [
        (changed("validations", "validation"), "GOS-401", "did you mean 'validations'"),
        (changed("learning_rate", "lerning_rate"), "GOS-401", "did you mean 'learning_rate'"),
        (changed("local_steps = 5", "local_step = 5"), "GOS-401", "did you mean 'local_steps'"),
        (changed("seeds", 'select_on = "dice"\nseeds'), "GOS-402", "valid metrics are dsc"),
        (changed("seeds", 'select_on = "hd95_mm"\nseeds'), "GOS-400", "chosen by 'dsc'"),
        (changed('"Kidney_R"', '"Kidny_R"'), "GOS-303", "Kidney_R"),
        (changed('"Prostate"', '"Kidney_R"'), "GOS-400", "each may stand here once"),
        (changed('"fedavg"', '"fedavgg"'), "GOS-404", "did you mean 'fedavg'"),
        (changed('"fedavg"', '"fedavg"\ntopology = "starr"'), "GOS-404", "did you mean 'star'"),
        (changed("steps = 20", "steps = 24"), "GOS-404", "4 left over; choose steps as a multiple of 20"),
        (changed("[arms.gossip]", '[arms."../gossip"]'), "GOS-400", "becomes a folder's"),
        (changed("{ batch_size = 3 }", "{ batch_size = 1 }"), "GOS-400", "two of its schedules are the same"),
        (changed('title = "Three toy hospitals"', "title = "), "GOS-400", "wanted TOML"),
        (without_b, "GOS-307", "dataset B: wanted a folder with dataset.json"),
        (without_training_at_c, "GOS-305", "site C: wanted cases of split 'train'"),
    ],
)
def test_wrong_study_ends_with_a_code_a_remedy_and_nothing_written(own_home, run_main, spoil, code, words):
    spoil(own_home)
    status, out, err = run_main("study", "run", own_home / "study.toml", "-o", own_home / "out")
    assert status == int(code[4])  # 3 for data, 4 for configuration
    assert err.startswith(f"{code}: ")
    assert words in err
    assert "Traceback" not in err
    assert out == ""
    assert not (own_home / "out").exists()


def test_folder_of_another_study_is_refused(toy_home, own_home, own_finished, run_main):
    changed("steps = 20", "steps = 40")(own_home)
    status, _, err = run_main("study", "run", own_home / "study.toml", "-o", own_finished)
    assert status == 4
    assert "GOS-400: wanted the results of this study, or an empty folder" in err


@pytest.mark.parametrize("extra", [(), ("--dry-run",)])
def test_slices_of_private_data_are_refused_before_training(own_home, run_main, extra):
    description = own_home / "data/B/dataset.json"
    description.write_text(description.read_text().replace('"public": true', '"public": false'))
    status, _, err = run_main("study", "run", own_home / "study.toml", "-o", own_home / "out", "--images", *extra)
    assert status == 2
    assert "of B; leave out --images" in err
    assert not (own_home / "out").exists()


def everything(folder):
    """What must not depend on interruptions: the numbers, the rows' bytes and the models' bytes."""
    results = StudyResults.model_validate_json((folder / "results.json").read_text())
    models = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.safetensors")}
    return results.model_dump(exclude=TIMED), (folder / "cases.csv").read_bytes(), models


MOMENTS = {
    "while cases are prepared": lambda out: any(out.glob("prepared/*/*/case.json")),
    "while the first run trains": lambda out: any(out.glob("runs/*/curve.json")),
    "after a checkpoint of a second run": lambda out: any(out.glob("runs/pooled--1-*/checkpoint.safetensors")),
    "when a federated run has a model": lambda out: any(out.glob("runs/fedavg--*/models/A.safetensors")),
    "when a run is finished": lambda out: any(out.glob("runs/gossip--*every-10*/run.json")),
    "before the report": lambda out: (out / "cases.csv").exists(),
    "when results are there": lambda out: (out / "results.json").exists(),
}


def test_study_killed_at_any_moment_ends_as_if_it_had_not_been(toy_home, tmp_path, finished_study, gossamer):
    out = tmp_path / "out"
    killed = []
    for moment, has_come in MOMENTS.items():
        command = gossamer("study", "run", toy_home / "study.toml", "-o", out)
        if command.wait_for(lambda: has_come(out)) and command.signal(signal.SIGKILL) == -signal.SIGKILL:  # noqa: B023
            killed.append(moment)
        assert "Traceback" not in command.err
    assert len(killed) >= len(MOMENTS) - 1  # the last moment is short
    command = gossamer("study", "run", toy_home / "study.toml", "-o", out)
    assert command.wait() == 0, command.err
    assert "On validation patients" in command.out
    assert everything(out) == everything(finished_study.folder)
    assert not list(out.rglob("checkpoint.safetensors"))


def test_ctrl_c_ends_cleanly_says_how_to_go_on_and_the_same_command_goes_on(
    toy_home, tmp_path, finished_study, gossamer
):
    one_arm = tmp_path / "home"
    shutil.copytree(toy_home, one_arm)
    study = (one_arm / "study.toml").read_text().replace("seeds = [0, 1]", "seeds = [0]")
    before, pooled = study.split("[arms.local-only]")[0], "[arms.pooled]" + study.split("[arms.pooled]")[1]
    (one_arm / "study.toml").write_text(before + pooled.split("[arms.fedavg]")[0])
    words = ("study", "run", one_arm / "study.toml", "-o", tmp_path / "out")
    command = gossamer(*words)
    assert command.wait_for(lambda: any((tmp_path / "out").glob("runs/pooled--1-*/checkpoint.safetensors")))
    assert command.signal(signal.SIGINT) == 130
    assert command.err.splitlines()[-1] == "Stopped. The same command again goes on from here."
    assert "Traceback" not in command.err
    command = gossamer(*words)
    assert command.wait() == 0
    ours = StudyResults.model_validate_json((tmp_path / "out/results.json").read_text())
    theirs = [run for run in finished_study.results.runs if run.arm == "pooled" and run.seed == 0]
    timed = {"wall_s", "cpu_s"}
    assert [run.model_dump(exclude=timed) for run in ours.runs] == [run.model_dump(exclude=timed) for run in theirs]
