"""``gossamer evaluate``: how well predictions agree with references."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

DOSE_FIGURES = ("D_mean", "D0.03cc")
"""Unless told otherwise."""

if TYPE_CHECKING:
    from gossamer.cli.console import Teller
    from gossamer.evaluate.dose_effect import DoseEffect
    from gossamer.evaluate.dose_metrics import DoseMetric
    from gossamer.evaluate.folders import Comparison, OrganResult


def evaluate(
    *,
    predictions: Path = typer.Option(
        ..., "--predictions", "-p", exists=True, file_okay=False, help="Folder that gossamer predict wrote."
    ),
    reference: Path = typer.Option(
        ...,
        "--reference",
        "-r",
        exists=True,
        file_okay=False,
        help="A dataset (only organs that are complete in a case are scored), or a folder of cases with masks.",
    ),
    output: Path | None = typer.Option(None, "--output", "-o", help="CSV file: a row for each case and organ."),
    metric: list[str] = typer.Option(
        ["dsc", "surface_dsc", "hd95_mm"],
        "--metric",
        help="dsc, surface_dsc, hd95_mm, or added path length: apl_mm, apl_tolerance_mm, apl_share; may be repeated.",
    ),
    dose: Path | None = typer.Option(
        None,
        "--dose",
        exists=True,
        file_okay=False,
        help="Folder of doses: <case>.nii.gz or <case>_dose.nii.gz (Gy), <case>.dcm (RTDOSE), or <case>/ with DICOM.",
    ),
    dvh: list[str] = typer.Option(
        [],
        "--dvh",
        help="With --dose: D_mean, D0.03cc, D95%, V20Gy (in %), V20Gycc and the like; may be repeated. "
        "D_mean and D0.03cc, unless told otherwise.",
    ),
    split: str | None = typer.Option(
        None, "--split", help="Score all of a dataset's cases of this split; one without a prediction counts as missed."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print the tables as JSON."),
) -> None:
    """Score predictions: a table per case and organ, and means with 95 % intervals; with --dose also dose figures."""
    from gossamer.atomic import write_atomically
    from gossamer.cli.console import Teller
    from gossamer.cli.dose_table import dose_document, say_what_is_unknown
    from gossamer.cli.doses import Doses
    from gossamer.errors import UsageError
    from gossamer.evaluate.dose_effect import dose_effect
    from gossamer.evaluate.dose_metrics import parse_dose_metrics
    from gossamer.evaluate.folders import compare, read_organs, score_organ
    from gossamer.evaluate.metrics import ALL_METRICS, check_metrics
    from gossamer.evaluate.summary import to_csv

    if dvh and dose is None:
        raise UsageError("wanted doses for the figures of --dvh; found no --dose; name the folder of doses with --dose")
    metrics, figures = check_metrics(metric, ALL_METRICS), parse_dose_metrics(dvh or DOSE_FIGURES) if dose else ()
    teller = Teller()
    doses = Doses(dose, teller) if dose else None
    comparison = compare(predictions, reference, split)
    _say_what_is_left_out(comparison, teller, counted=split is not None)
    results: list[OrganResult] = []
    effects: list[DoseEffect] = []
    with teller.task("scoring", total=len(comparison.cases)) as task:
        for case in comparison.cases:
            grid = doses.of(case.id) if doses else None
            for masks in read_organs(comparison, case):
                results.append(score_organ(masks, metrics))
                if grid is not None:
                    effects.append(dose_effect(masks, grid, figures))
            task.advance(1, case.id)
    if doses is not None:
        say_what_is_unknown(effects, doses, teller)
    if output is not None:
        write_atomically(output, to_csv(results, metrics, effects, figures))
    if as_json:
        document = _document(results, comparison, metrics)
        if doses is not None:
            document["dose"] = dose_document(effects, figures, doses.lacking)
        typer.echo(json.dumps(_without_nan(document), indent=2, allow_nan=False))
    else:
        _print_tables(results, metrics, effects, figures)


def _say_what_is_left_out(comparison: Comparison, teller: Teller, *, counted: bool) -> None:
    from gossamer.words import first_few

    treatment = "counted as missed" if counted else "not scored"
    for what, names in (
        (f"cases without a prediction, {treatment}", comparison.not_predicted),
        ("predicted cases without a reference, not scored", comparison.not_drawn),
        ("organs that the predictions do not know, not scored", comparison.unknown_organs),
    ):
        if names:
            teller.say(f"{len(names)} {what}: {first_few(names, 10)}")


def _document(results: Sequence[OrganResult], comparison: Comparison, metrics: Sequence[str]) -> dict[str, Any]:
    from dataclasses import asdict

    from gossamer.evaluate.summary import by_organ, overall

    return {
        "cases": [
            {
                "case": r.case,
                "organ": r.organ,
                **r.score.values,
                "tolerance_mm": r.tolerance_mm,
                "reference_voxels": r.score.reference_voxels,
                "predicted_voxels": r.score.predicted_voxels,
                "outcome": r.score.outcome,
            }
            for r in results
        ],
        "organs": [asdict(summary) for summary in by_organ(results, metrics)],
        "means": {
            metric: {f"over_{average}": asdict(overall(results, metric, average)) for average in ("organs", "patients")}
            for metric in metrics
        },
        "not_predicted": comparison.not_predicted,
        "not_drawn": comparison.not_drawn,
        "unknown_organs": comparison.unknown_organs,
    }


def _print_tables(
    results: Sequence[OrganResult], metrics: Sequence[str], effects: Sequence[DoseEffect], figures: Sequence[DoseMetric]
) -> None:
    from rich.table import Table

    from gossamer.cli.console import results_console
    from gossamer.cli.dose_table import print_dose_tables
    from gossamer.evaluate.summary import by_organ, overall

    console = results_console()
    cases = Table("case", "organ", *metrics, "outcome", box=None)
    for r in results:
        cases.add_row(r.case, r.organ, *(_text(r.score.values[m]) for m in metrics), r.score.outcome)
    console.print(cases)

    organs = Table("organ", "patients", *metrics, "missed", "false positives", box=None)
    for o in by_organ(results, metrics):
        organs.add_row(
            o.organ, str(o.patients), *(_text(o.means[m]) for m in metrics), str(o.missed), str(o.false_positives)
        )
    console.print("", organs, "", sep="\n")

    means = Table("mean over", *(f"{m} [95 %]" for m in metrics), box=None)
    for average in ("organs", "patients"):
        intervals = (overall(results, m, average) for m in metrics)
        means.add_row(average, *(f"{_text(i.estimate)} [{_text(i.low)}, {_text(i.high)}]" for i in intervals))
    console.print(means, markup=False)
    if figures:
        print_dose_tables(console, effects, figures)


def _text(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.3f}"


def _without_nan(value: Any) -> Any:
    """A document with null for the numbers that JSON cannot hold."""
    if isinstance(value, dict):
        return {key: _without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
