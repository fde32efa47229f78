"""``gossamer demo``: a cohort, a study and a report in one command, which goes on where it stopped."""

import shutil

import pytest
import typer
from typer.testing import CliRunner

from gossamer.cli.demo import PATIENTS, demo
from gossamer.data.phantom import HOSPITALS
from gossamer.study.config import read_study
from gossamer.study.outcome import read_results
from gossamer.study.presets import write_preset

pytestmark = pytest.mark.usefixtures("quick_intervals")

app = typer.Typer()
app.command()(demo)


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_preset_of_the_demo_is_of_its_hospitals(tmp_path):
    write_preset("demo", tmp_path / "demo.toml")
    study = read_study(tmp_path / "demo.toml")
    assert sorted(study.datasets) == sorted(hospital.name for hospital in HOSPITALS)
    assert list(study.arms) == ["local-only", "pooled", "fedavg", "gossip"]


@pytest.fixture
def tiny_demo(monkeypatch, toy_home, toy_settings):
    """The demo with toy hospitals and one arm in the place of its own."""
    drawn = []

    def write_cohort(folder, *, train, val, seed, on_patient):
        shutil.copytree(toy_home / "data", folder, dirs_exist_ok=True)
        drawn.append((train, val, seed))
        for _ in range(len(HOSPITALS) * (train + val)):
            on_patient()

    text = (toy_home / "study.toml").read_text().replace("data/", "").replace("seeds = [0, 1]", "seeds = [0]")
    head, rest = text.split("[arms.local-only]")
    gossip = "[arms.gossip]" + rest.split("[arms.gossip]")[1].replace("{ local_steps = 5 }, ", "")
    monkeypatch.setattr("gossamer.data.phantom.write_cohort", write_cohort)
    monkeypatch.setattr("gossamer.study.presets.read_preset", lambda name: head + gossip)
    return drawn


def test_demo_draws_trains_reports_and_says_what_comes_next(tmp_path, tiny_demo):
    done = run("-o", tmp_path / "demo", "--seed", "3")
    assert done.exit_code == 0, done.output
    assert tiny_demo == [(*PATIENTS, 3)]
    assert "drawing patients: done" in done.stderr
    assert "1 runs of 60 patches each" in done.stderr
    assert done.stderr.splitlines()[-1] == "Next, your own data: gossamer import --help"
    assert done.stdout.splitlines()[-1].split()[0] == "gossip"
    results = read_results(tmp_path / "demo")
    assert results.public_data
    assert "A-val-0" in (tmp_path / "demo/report.html").read_text()  # slices are shown
    again = run("-o", tmp_path / "demo", "--seed", "3")
    assert again.exit_code == 0
    assert "Nothing is left to do: all 1 runs were finished before." in again.stderr
    assert read_results(tmp_path / "demo") == results
