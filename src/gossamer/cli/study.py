"""``gossamer study``: compare training alone, pooled, FedAvg and gossip on the data of several hospitals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gossamer.study.results import StudyResults

study_app = typer.Typer(
    help="Compare training alone, pooled training, FedAvg and gossip at equal compute.", no_args_is_help=True
)

Folder = Annotated[Path, typer.Argument(help="Folder of a study, as 'study run' made it.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print the results as JSON instead of a table.")]


@study_app.command()
def new(
    out: Annotated[Path, typer.Argument(help="The study file to write (TOML).", show_default=False)],
    preset: Annotated[
        str, typer.Option(help="What to start from: openkbp-hn, openkbp-asynchronous or demo.")
    ] = "openkbp-hn",
) -> None:
    """Write a commented study file to start from."""
    from gossamer.study.presets import write_preset

    write_preset(preset, out)
    typer.echo(f"{out}: set its datasets, then: gossamer study run {out} --out runs/{out.stem}", err=True)


@study_app.command()
def run(
    study: Annotated[
        Path, typer.Argument(help="The study file (TOML), or a preset's name: openkbp-hn.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for results; a study in it goes on.")],
    images: Annotated[
        bool, typer.Option("--images", help="Show CT slices with contours: only for public or synthetic data.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run, and how much; run nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Run a study: all arms and seeds. Interrupted, the same command goes on where it stopped."""
    from gossamer.cli.console import Teller
    from gossamer.study.config import parse_study, read_study
    from gossamer.study.outcome import refuse_private_pictures
    from gossamer.study.presets import preset_names, read_preset
    from gossamer.study.run import outline, run_study
    from gossamer.study.summary import opening_table
    from gossamer.study.workspace import open_datasets

    teller = Teller()
    preset = str(study) if str(study) in preset_names() and not study.exists() else None
    settings = parse_study(read_preset(preset), f"preset {preset}") if preset else read_study(study)
    datasets = open_datasets(settings, study.parent)
    if images:
        refuse_private_pictures(datasets)
    plain_words = outline(settings, datasets)  # refuses what cannot run, before anything is shown
    teller.console.print(opening_table(datasets, settings.structures))
    teller.say(plain_words)
    if not dry_run:
        results = run_study(settings, home=study.parent, folder=out, watch=teller, pictures=images)
        show_results(results, out, as_json=as_json)


@study_app.command()
def report(
    folder: Folder,
    images: Annotated[
        Path | None,
        typer.Option(help="Folder of the study's dataset folders, to show CT slices: only public or synthetic data."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Draw a study's report again."""
    from gossamer.study.outcome import redraw

    show_results(redraw(folder, images), folder, as_json=as_json)


@study_app.command()
def score(
    folder: Folder,
    on: Annotated[Path, typer.Option("--on", help="Folder of dataset folders, one a site.", show_default=False)],
    split: Annotated[str, typer.Option(help="Which cases of these datasets.")] = "test",
    as_json: Json = False,
) -> None:
    """Score the finished models of all arms on a locked set that training never saw."""
    from gossamer.cli.console import Teller
    from gossamer.study.locked import score_locked

    show_results(score_locked(folder, on, split, Teller()), folder, as_json=as_json)


def show_results(results: StudyResults, folder: Path, *, as_json: bool = False) -> None:
    """The closing table, or JSON, on stdout; where the report lies on stderr."""
    from gossamer.study.outcome import CASES, REPORT

    if as_json:
        typer.echo(results.model_dump_json(indent=1))
    else:
        from gossamer.cli.console import results_console
        from gossamer.study.summary import closing_table

        results_console().print(closing_table(results, folder / CASES))
    typer.echo(f"{folder / REPORT}: open it in a browser.", err=True)
