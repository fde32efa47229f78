"""``python -m benchmarks --quick`` runs every benchmark for real, small. Times are not judged: machines differ."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]

LIMITS = {
    "gossip round to averaging in memory: time": 4.0,
    "gossip round to averaging in memory: peak memory": 2.0,
    "simulated round to its bare optimiser steps: time": 1.05,
    "first local step to bare PyTorch and MONAI: time": 1.5,
    "gossamer --help": 0.5,
    "gossamer federation show": 0.8,
    "prediction, peak memory": 4.0,
    "post-processing and writing to the whole prediction: time": 0.25,
    "exchange between two sites to the bare stream both ways: time": 2.0,
    "CT series to HU in canonical orientation, to the pixels by pydicom alone: time": 1 / 0.7,
    "import of DICOM with two workers, to one: time": 0.7,
}
"""What this project promises, by what the benchmarks call it."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """What all of them printed, and the figures by name."""
    file = tmp_path_factory.mktemp("benchmarks") / "figures.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--threads", "1", "--json", str(file)]
    done = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True)
    return done.stdout, {figure["what"]: figure for figure in json.loads(file.read_text())}


def test_every_promise_has_its_figure(finished):
    _, figures = finished
    assert {what: figure["limit"] for what, figure in figures.items()} == LIMITS


@pytest.mark.parametrize("what", LIMITS)
def test_figure_is_measured(finished, what):
    _, figures = finished
    assert math.isfinite(figures[what]["found"])
    assert figures[what]["found"] > 0


def test_last_table_has_a_row_for_each_figure(finished):
    printed, _ = finished
    table = printed.split("## All figures")[1]
    assert "PyTorch" in table
    assert "threads: 1" in table
    assert all(f"| {what} | " in table for what in LIMITS)


def test_each_benchmark_prints_what_its_ratios_are_made_of(finished):
    printed, _ = finished
    lines = [line.split()[0] for line in printed.splitlines() if line.strip()]
    assert {"average", "sweep", "bare", "simulated", "floor"} <= set(lines)
    assert "bare network on the same windows" in printed
    assert {"bare stream both ways", "whole exchange", "SHA-256", "merge"} <= {
        line[:40].strip() for line in printed.splitlines()
    }


def test_memory_of_predicting_a_small_ct_is_far_below_the_limit(finished):
    """Unlike times, memory says the same on a busy machine."""
    _, figures = finished
    assert figures["prediction, peak memory"]["found"] < 2.0
