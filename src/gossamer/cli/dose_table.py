"""Dose figures of ``gossamer evaluate`` as tables, and as JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from gossamer.words import counted, first_few

if TYPE_CHECKING:
    from rich.console import Console

    from gossamer.cli.console import Teller
    from gossamer.cli.doses import Doses
    from gossamer.evaluate.dose_effect import DoseEffect
    from gossamer.evaluate.dose_metrics import DoseMetric

NAMED = 10
"""Of a list of cases; the others are counted."""


def say_what_is_unknown(effects: Sequence[DoseEffect], doses: Doses, teller: Teller) -> None:
    """What is to be known of doses, cases without one, and organs that a dose grid cuts."""
    cut = [
        f"{e.case} {e.organ} ({most:.1%})"
        for e in effects
        if (most := max(_known(e.outside.reference), _known(e.outside.prediction))) > 0
    ]
    for note, cases in doses.notes.items():
        teller.say(f"{note}: {first_few(cases, NAMED)}")
    for what, how, names in (
        ("case", "without a dose, left out of the dose figures", doses.lacking),
        ("organ", "partly outside the dose grid, where dose is unknown; figures are of the rest", cut),
    ):
        if names:
            teller.say(f"{counted(len(names), what)} {how}: {first_few(names, NAMED)}")


def dose_document(effects: Sequence[DoseEffect], metrics: Sequence[DoseMetric], lacking: Sequence[str]) -> Any:
    """All dose figures; NaN where one does not exist."""
    from gossamer.evaluate.dose_effect import summarise

    return {
        "cases": [{"case": e.case, "organ": e.organ, **e.fields(metrics)} for e in effects],
        "organs": [asdict(summary) for summary in summarise(effects, metrics)],
        "without_dose": list(lacking),
    }


def print_dose_tables(console: Console, effects: Sequence[DoseEffect], metrics: Sequence[DoseMetric]) -> None:
    """A table per case and organ, and one per organ and metric."""
    from rich.table import Table

    from gossamer.evaluate.dose_effect import summarise

    cases = Table("case", "organ", *(f"{m.name} ({m.unit})" for m in metrics), "outside dose", box=None)
    for e in effects:
        outside = f"{_share(e.outside.reference)} → {_share(e.outside.prediction)}"
        cases.add_row(e.case, e.organ, *(_change(e.reference[m.name], e.prediction[m.name]) for m in metrics), outside)
    console.print("", "dose on the reference → on the prediction (difference)", cases, sep="\n", markup=False)

    organs = Table(
        *("organ", "figure", "pairs", "reference", "prediction"),
        *("difference [95 %]", "limits of agreement", "missed"),
        box=None,
    )
    for s in summarise(effects, metrics):
        d = s.difference
        organs.add_row(
            s.organ,
            f"{s.metric} ({s.unit})",
            str(d.patients),
            _number(s.reference),
            _number(s.prediction),
            _signed(d.estimate) + (f" [{_signed(d.low)}, {_signed(d.high)}]" if d.patients > 1 else ""),
            f"{_signed(s.limits[0])} to {_signed(s.limits[1])}" if s.limits else "–",
            str(s.missed),
        )
    console.print("", organs, sep="\n", markup=False)


def _change(reference: float, prediction: float) -> str:
    difference = "" if math.isnan(prediction - reference) else f" ({_signed(prediction - reference)})"
    return f"{_number(reference)} → {_number(prediction)}{difference}"


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}"


def _signed(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:+.2f}"


def _share(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.1%}"


def _known(value: float) -> float:
    return 0.0 if math.isnan(value) else value
