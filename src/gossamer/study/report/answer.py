"""The report's first words: the answer in a sentence, what it rests on, and what it does not show.

It gives differences with intervals and never speaks of non-inferiority, which needs a margin fixed before training
and a set that no choice was made on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gossamer.evaluate.intervals import RESAMPLES, Interval
from gossamer.study import numerals as num
from gossamer.study.comparison import POOLED, Comparison, difference
from gossamer.study.results import StudyResults
from gossamer.study.scores import VALIDATION_SET

LOCAL = "local-only"
FEDAVG = "fedavg"
GOSSIP = "gossip"

NAMES = {POOLED: "pooled training", LOCAL: "training alone", FEDAVG: "FedAvg"}
BASELINES = (POOLED, LOCAL, FEDAVG)
"""What the report's arm is held against."""

FAMILIAR = {*BASELINES, "fedprox"}
"""Arms that a report is not about while there is another."""
FEW_SEEDS = 3

_SMALL = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


@dataclass(frozen=True)
class Difference:
    """One arm against another."""

    theirs: str
    interval: Interval
    verdict: str


@dataclass(frozen=True)
class Answer:
    """What stands at the top of the report."""

    sentence: str
    differences: tuple[Difference, ...]
    basis: str
    cautions: tuple[str, ...]


def answer_of(results: StudyResults, comparison: Comparison) -> Answer:
    """Put the comparison into words."""
    subject = subject_of(comparison)
    if subject is None:
        return Answer("No arm of this study has been scored yet.", (), "", results.notes)
    dsc = next(arm.dsc for arm in comparison.arms if arm.arm == subject)
    differences = tuple(
        _difference(comparison, subject, theirs)
        for theirs in BASELINES
        if theirs in comparison.scores.arms and theirs != subject
    )
    hospitals = number(len(comparison.patients))
    sentence = (
        f"With {NAMES.get(subject, subject)}, {hospitals} hospitals reach a mean DSC of "
        f"{num.score(dsc.estimate)} {num.score_bounds(dsc)}"
    )
    if differences:
        sentence += ": " + _listed([_clause(one) for one in differences])
    return Answer(
        sentence=sentence + ".",
        differences=differences,
        basis=_basis(comparison),
        cautions=tuple(_cautions(results, comparison)),
    )


def subject_of(comparison: Comparison) -> str | None:
    """The arm the report is about: gossip, else the first that is not familiar, else the last there is."""
    names = [arm.arm for arm in comparison.arms]
    if GOSSIP in names:
        return GOSSIP
    return next((name for name in names if name not in FAMILIAR), names[-1] if names else None)


def number(count: int) -> str:
    """A small number as a word."""
    return _SMALL[count] if count < len(_SMALL) else str(count)


def _difference(comparison: Comparison, ours: str, theirs: str) -> Difference:
    interval = difference(comparison.scores, ours, theirs)
    if interval.low > 0:
        verdict = "above"
    elif interval.high < 0:
        verdict = "below"
    else:
        verdict = "not told apart from"
    return Difference(theirs, interval, verdict)


def _clause(one: Difference) -> str:
    interval, name = one.interval, NAMES.get(one.theirs, one.theirs)
    if one.verdict in {"above", "below"}:
        return f"{num.score(abs(interval.estimate))} {one.verdict} {name} {num.gain_bounds(interval)}"
    return f"not told apart from {name} ({num.gain(interval.estimate)} {num.gain_bounds(interval)})"


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def _basis(comparison: Comparison) -> str:
    total = sum(comparison.patients.values())
    by_site = ", ".join(f"{site} {patients}" for site, patients in comparison.patients.items())
    if comparison.set_name == VALIDATION_SET:
        which = "validation patients"
    else:
        which = f"patients of the locked set “{comparison.set_name}”, which training never saw,"
    organs = sum(patients > 0 for patients in comparison.organ_patients.values())
    seeds = len(comparison.scores.seeds)
    return (
        f"Mean over {organs} organs; {total} {which} of {number(len(comparison.patients))} hospitals ({by_site}), each "
        f"scored with the model of the patient’s own hospital; {number(seeds)} seed{'s' if seeds != 1 else ''}. In "
        f"brackets: 95 % intervals from {RESAMPLES:,} bootstrap resamples of patients within hospitals and of seeds, "
        "paired for differences."
    )


def _cautions(results: StudyResults, comparison: Comparison) -> list[str]:
    cautions = []
    if comparison.set_name == VALIDATION_SET:
        cautions.append(
            "Checkpoint and schedule of every arm were chosen on these same patients, so the levels flatter a little; "
            "no locked set has been scored yet (gossamer study score)."
        )
    cautions.append(
        "These are differences with intervals, not a test of non-inferiority: an interval that holds 0 does not show "
        "that two arms are equal."
    )
    if {POOLED, LOCAL} <= comparison.scores.arms:
        gain = difference(comparison.scores, POOLED, LOCAL)
        if gain.low <= 0:
            cautions.append(
                f"Pooled training is not clearly above training alone here ({num.gain(gain.estimate)} "
                f"{num.gain_bounds(gain)}), so this study can say little about what working together gains."
            )
    seeds = len(comparison.scores.seeds)
    if seeds < FEW_SEEDS:
        cautions.append(
            f"{number(seeds).capitalize()} seed{'s say' if seeds != 1 else ' says'} little about how much one training "
            "differs from the next."
        )
    samples = _samples(comparison)
    if len(set(samples.values())) > 1:
        each = ", ".join(f"{arm} {num.count(seen)}" for arm, seen in samples.items())
        cautions.append(f"Compute was not equal over the arms; patches seen by all hospitals together: {each}.")
    opened = {locked.set_name: locked.opened_at for locked in results.locked}.get(comparison.set_name, ())
    if opened:
        cautions.append(f"The locked set was opened {_times(len(opened))}: {', '.join(opened)}.")
    return cautions


def _samples(comparison: Comparison) -> Mapping[str, int]:
    return {arm.arm: arm.runs[0].samples for arm in comparison.arms}


def _times(count: int) -> str:
    return "once" if count == 1 else f"{number(count)} times"
