"""The end of every benchmark: a table, a file, an exit status."""

import json
import runpy
from pathlib import Path

import pytest

FIGURES = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "figures.py"), run_name="figures")
Figure, conclude = FIGURES["Figure"], FIGURES["conclude"]

KEPT, EXCEEDED = Figure("one to the other", 1.049, 1.05), Figure("peak memory", 4.2, 4.0, "GiB")


def options(*arguments):
    return FIGURES["options_parser"]("").parse_args(arguments)


def test_table_shows_limits_and_which_is_exceeded(capsys):
    with pytest.raises(SystemExit):
        conclude([KEPT, EXCEEDED], options())
    assert capsys.readouterr().out.splitlines()[1:] == [
        "| figure | found | limit | |",
        "|---|---:|---:|---|",
        "| one to the other | 1.05 | 1.05 | holds |",
        "| peak memory | 4.20 GiB | 4.00 GiB | **exceeded** |",
    ]


def test_an_exceeded_limit_is_the_exit_status():
    conclude([KEPT], options())
    with pytest.raises(SystemExit, match="a limit is exceeded"):
        conclude([KEPT, EXCEEDED], options())


def test_small_sizes_are_not_judged(capsys):
    conclude([KEPT, EXCEEDED], options("--quick"))
    printed = capsys.readouterr().out
    assert printed.count("| not judged |") == 2
    assert "holds" not in printed


def test_a_limit_just_reached_holds():
    assert Figure("round", 4.0, 4.0).holds


def test_json_has_the_figures_even_where_a_limit_is_exceeded(tmp_path):
    with pytest.raises(SystemExit):
        conclude([EXCEEDED], options("--json", str(tmp_path / "figures.json")))
    assert json.loads((tmp_path / "figures.json").read_text()) == [
        {"what": "peak memory", "found": 4.2, "limit": 4.0, "unit": "GiB"}
    ]
