"""The study file is read strictly."""

import pytest

from gossamer.errors import ConfigurationError, UnknownKeyError, UnknownMetricError, UnknownStructureError, UsageError
from gossamer.study.config import read_study

GOOD = """
title = "t"
datasets = ["A"]
structures = ["Brainstem"]
[arms.gossip]
kind = "federated"
schedules = [{ local_steps = 5 }]
"""


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (("title", "titel"), UnknownKeyError, "did you mean 'title'"),
        (("local_steps", "lokal_steps"), UnknownKeyError, "did you mean 'local_steps'"),
        (('kind = "federated"', 'kind = "gossip"'), ConfigurationError, "'local-only', 'pooled' or 'federated'"),
        (("{ local_steps = 5 }", "{ batch_size = 2 }"), ConfigurationError, "local_steps belongs to every schedule"),
        (("Brainstem", "Brainstam"), UnknownStructureError, "Brainstem"),
        (('title = "t"', 'title = "t"\nselect_on = "dice"'), UnknownMetricError, "dsc"),
        (('title = "t"', 'title = "t"\n[recipe]\nlearning_rte = 1'), UnknownKeyError, "learning_rate"),
        (('title = "t"', 'title = "t"\nsteps = 0'), ConfigurationError, "steps.*greater than 0"),
    ],
)
def test_a_wrong_study_file_says_what_to_do(tmp_path, change, error, message):
    text = GOOD.replace(*change) if "\n[recipe]" not in change[1] else GOOD + "[recipe]\nlearning_rte = 1\n"
    (tmp_path / "study.toml").write_text(text)
    with pytest.raises(error, match=message):
        read_study(tmp_path / "study.toml")


def test_a_good_study_file_has_the_documented_defaults(tmp_path):
    (tmp_path / "study.toml").write_text(GOOD)
    study = read_study(tmp_path / "study.toml")
    assert study.seeds == (0, 1)
    assert study.arms["gossip"].schedules[0].name == "1 patch a step, exchange every 5"


def test_a_missing_study_file_is_answered_with_the_command_that_writes_one(tmp_path):
    with pytest.raises(UsageError, match=r"gossamer study new absent\.toml"):
        read_study(tmp_path / "absent.toml")


def test_a_study_file_may_name_what_is_one_piece_or_switch_it_off(tmp_path):
    found = {}
    for line in ("", "one_piece = []", 'one_piece = ["Brainstem"]', "overlap = 0.75"):
        (tmp_path / "study.toml").write_text(GOOD + f"[plan]\n{line}\n")
        rules = read_study(tmp_path / "study.toml").plan
        found[line] = rules.one_piece, rules.overlap
    assert found[""] == (None, 0.5)
    assert found["one_piece = []"] == ((), 0.5)
    assert found['one_piece = ["Brainstem"]'] == (("Brainstem",), 0.5)
    assert found["overlap = 0.75"] == (None, 0.75)
