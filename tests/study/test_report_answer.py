"""The report's first words claim what the intervals allow, and no more."""

from dataclasses import replace

import pytest

from gossamer.study.comparison import compare
from gossamer.study.report.answer import answer_of


def answered(results, rows, set_name="val"):
    return answer_of(results, compare(results, rows, set_name))


def shifted(rows, arm, by):
    """The rows of ``arm`` made those of pooled under the same seed, patient and organ, moved by ``by``."""
    pooled = {(r.seed, r.site, r.case, r.organ): r.dsc for r in rows if r.arm == "pooled" and r.schedule[0] == "1"}
    return [
        replace(r, dsc=pooled[r.seed, r.site, r.case, r.organ] + by(r)) if r.arm == arm else r for r in rows
    ]  # fmt: skip


def test_sentence_gives_each_difference_with_its_interval(study):
    answer = answered(*study)
    assert answer.sentence.startswith("With gossip, four hospitals reach a mean DSC of .")
    for words in ("below pooled training [−", "above training alone [+", "FedAvg"):
        assert words in answer.sentence
    assert [d.theirs for d in answer.differences] == ["pooled", "local-only", "fedavg"]


@pytest.mark.parametrize(
    ("by", "verdict", "words"),
    [
        (lambda _: 0.02, "above", ".020 above pooled training [+.020, +.020]"),
        (lambda _: -0.02, "below", ".020 below pooled training [−.020, −.020]"),
        (
            lambda r: 0.05 if int(r.case[-1]) % 2 else -0.05,
            "not told apart from",
            "not told apart from pooled training",
        ),
    ],
)
def test_verdict_follows_the_interval(study, by, verdict, words):
    results, rows = study
    answer = answered(results, shifted(rows, "gossip", by))
    assert answer.differences[0].verdict == verdict
    assert words in answer.sentence


def test_basis_counts_patients_hospitals_and_seeds(study):
    basis = answered(*study).basis
    assert "7 organs; 32 validation patients of four hospitals (A 8, B 8, C 8, D 8)" in basis
    assert "two seeds" in basis


def test_choice_on_the_same_patients_is_said_until_a_locked_set_is_scored(study, locked_study):
    flattering = "chosen on these same patients"
    assert any(flattering in caution for caution in answered(*study).cautions)
    locked = answered(*locked_study, "acceptance")
    assert not any(flattering in caution for caution in locked.cautions)
    assert any("opened once: 2026-03-02T09:15:00Z" in caution for caution in locked.cautions)
    assert "48 patients of the locked set “acceptance”, which training never saw" in locked.basis


def test_non_inferiority_is_never_claimed(study):
    answer = answered(*study)
    said = " ".join([answer.sentence, answer.basis, *answer.cautions]).lower()
    assert said.count("non-inferior") == 1
    assert "not a test of non-inferiority" in said


def test_a_pooled_arm_no_better_than_training_alone_is_pointed_out(study):
    results, rows = study
    assert not any("can say little about" in caution for caution in answered(*study).cautions)
    flat = shifted(rows, "local-only", lambda r: 0.05 if int(r.case[-1]) % 2 else -0.05)
    assert any("can say little about" in caution for caution in answered(results, flat).cautions)


def test_unequal_compute_is_pointed_out(study):
    results, rows = study
    runs = [r.model_copy(update={"samples": 11200}) if r.arm == "gossip" else r for r in results.runs]
    cautions = answered(results.model_copy(update={"runs": tuple(runs)}), rows).cautions
    assert any("Compute was not equal" in caution and "gossip 11,200" in caution for caution in cautions)


def test_an_own_algorithm_is_what_the_report_is_about_where_gossip_was_not_run(study):
    results, rows = study
    runs = [r.model_copy(update={"arm": "mine"}) if r.arm == "gossip" else r for r in results.runs]
    rows = [replace(row, arm="mine") if row.arm == "gossip" else row for row in rows]
    assert answered(results.model_copy(update={"runs": tuple(runs)}), rows).sentence.startswith("With mine, four")


def test_a_study_without_scores_says_so(study):
    assert "scored yet" in answered(study[0], []).sentence
