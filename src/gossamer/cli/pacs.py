"""``gossamer pacs``: a hospital's image archive, both ways."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gossamer.cli.console import Teller
    from gossamer.dicom.pacs.base import Pacs, Query, SeriesAtPacs
    from gossamer.dicom.pacs.settings import PacsSettings
    from gossamer.segment.model_file import Model
    from gossamer.segment.unlike import Name

pacs_app = typer.Typer(help="A hospital's image archive (PACS): pull, push, watch.", no_args_is_help=True)

PacsFile = Annotated[Path, typer.Option("--pacs", help="The file that describes the PACS (TOML).")]

FOLDER_DIGITS = 16
"""Of a series' hash in the name of its folder; no two series of a hospital share so many."""

ASK = "-"

DAYS = ["%Y-%m-%d"]


@pacs_app.command()
def check(pacs_file: PacsFile = Path("pacs.toml")) -> None:
    """Ask the PACS for a sign of life, and for the right to search."""
    from time import monotonic

    settings, pacs = _opened(pacs_file)
    began = monotonic()
    with pacs:
        answered = pacs.check()
    typer.echo(f"The PACS answers to {answered}, in {monotonic() - began:.2f} s.")
    typer.echo(
        "The line is plain text: anyone on the way can read and change patients' data."
        if settings.is_plain
        else "The line is encrypted by TLS, and the PACS's certificate is trusted."
    )


@pacs_app.command()
def pull(
    *,
    out: Annotated[Path, typer.Option("--out", "-o", file_okay=False, help="Folder for the series; made if absent.")],
    pacs_file: PacsFile = Path("pacs.toml"),
    patient_id: Annotated[
        str, typer.Option(help="Patient ID; - asks for it, so that it stands in no list of processes.")
    ] = "",
    study_uid: Annotated[str, typer.Option(help="Study Instance UID.")] = "",
    series_uid: Annotated[str, typer.Option(help="Series Instance UID.")] = "",
    modality: Annotated[
        str | None, typer.Option(help="Modality; CT without it, any with --series-uid.", show_default=False)
    ] = None,
    since: Annotated[datetime | None, typer.Option("--from", formats=DAYS, help="First day of the study.")] = None,
    until: Annotated[datetime | None, typer.Option("--to", formats=DAYS, help="Last day of the study.")] = None,
    with_structure_sets: Annotated[
        bool, typer.Option("--with-structure-sets", help="The RT structure sets of the same studies, too.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what there is.")] = False,
) -> None:
    """Fetch series into OUT, a folder each. A series that was fetched before is passed over.

    A series is shown by a key, its modality and its count of images; its folder appears when all of it is there.
    """
    from gossamer.cli.console import Teller
    from gossamer.dicom.pacs.base import Query
    from gossamer.errors import DataError, UsageError

    if patient_id == ASK:
        patient_id = typer.prompt("Patient ID", err=True)
    query = Query(
        patient_id=patient_id,
        study_uid=study_uid,
        series_uid=series_uid,
        modality=modality or ("" if series_uid else "CT"),
        since=since.date() if since else None,
        until=until.date() if until else None,
    )
    if not (patient_id or study_uid or series_uid or since or until or dry_run):
        raise UsageError(
            "wanted to know which series; found nothing that chooses among all of the PACS; give --patient-id, "
            "--study-uid, --series-uid, --from or --to"
        )
    with _opened(pacs_file)[1] as pacs:
        found = _find(pacs, query, with_structure_sets=with_structure_sets)
        if not found:
            raise DataError("wanted series of the PACS; found none that fit; check dates, IDs and --modality")
        if dry_run:
            for series in found:
                images = "?" if series.instances is None else series.instances
                typer.echo(f"{series.key}\t{series.modality}\t{images} images")
            return
        _fetch_all(pacs, found, out, Teller())


@pacs_app.command()
def push(
    files: Annotated[
        list[Path], typer.Argument(exists=True, help="DICOM files, or folders of nothing else.", show_default=False)
    ],
    pacs_file: PacsFile = Path("pacs.toml"),
) -> None:
    """Store DICOM files in the PACS, as they are. A file that it has already is no error."""
    from gossamer.cli.console import Teller
    from gossamer.dicom.files.open_file import files_below
    from gossamer.errors import UsageError

    paths = [path for given in files for path in (sorted(files_below(given)) if given.is_dir() else [given])]
    if not paths:
        raise UsageError("wanted DICOM files to store; found none in what was given; is it the right folder?")
    with _opened(pacs_file)[1] as pacs, Teller().task("Storing", len(paths)) as task:
        warned = pacs.store(paths, lambda _done, _of: task.advance(1))
    typer.echo(f"{len(paths)} files stored" + (f", {warned} of them changed by the PACS" if warned else ""))


@pacs_app.command()
def watch(
    *,
    model_path: Annotated[Path, typer.Option("--model", "-m", help="Model file (.safetensors).", show_default=False)],
    pacs_file: PacsFile = Path("pacs.toml"),
    state_folder: Annotated[
        Path, typer.Option("--state", file_okay=False, help="Folder for what was done; made if absent.")
    ] = Path("gossamer-watch"),
    interval: Annotated[
        float, typer.Option(min=1.0, help="Seconds between two looks; a series is complete if it is as it was.")
    ] = 60.0,
    once: Annotated[bool, typer.Option("--once", help="Look twice, contour what is complete, and end.")] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto: cuda where there is one.")] = "auto",
) -> None:
    """Contour each new CT series and store its RT structure set beside it, unapproved. Not a medical device.

    Which series is chosen in [watch] of the PACS file. Stopped, the same command goes on: nothing is contoured twice.
    """
    import time

    from gossamer.cli.console import Teller
    from gossamer.cli.devices import chosen_device
    from gossamer.dicom.pacs.watch import PacsWatch
    from gossamer.dicom.pacs.watch_state import opened_state
    from gossamer.segment.model_file import read_model
    from gossamer.segment.unlike import held_back

    teller = Teller()
    settings, pacs = _opened(pacs_file)
    model = read_model(model_path)
    model.network.to(chosen_device(device))
    teller.say(f"Model {model.sha256[:12]}: {len(model.plan.structures)} structures. {model.intended_use}")
    with pacs, opened_state(state_folder) as state:
        the_watch = PacsWatch(
            pacs=pacs,
            settings=settings.watch,
            model_hash=model.sha256,
            state=state,
            contour=_contour_by(model, held_back(settings.watch.hold_back), teller),
            now=lambda: datetime.now().astimezone(),
            sleep=time.sleep,
            say=teller.say,
        )
        if not once:
            the_watch.run(interval)
        began_s = time.time()
        the_watch.run_once(interval)
        _sum_up(state.counts(), failed_now=state.counts(began_s)["failed"])


def _opened(path: Path) -> tuple[PacsSettings, Pacs]:
    from gossamer.dicom.pacs.opened import open_pacs
    from gossamer.dicom.pacs.settings import read_settings

    settings = read_settings(path)
    return settings, open_pacs(settings, path.parent)


def _find(pacs: Pacs, query: Query, *, with_structure_sets: bool) -> list[SeriesAtPacs]:
    from gossamer.dicom.pacs.base import Query

    found = pacs.find_series(query)
    if with_structure_sets and query.modality != "RTSTRUCT":
        for study_uid in sorted({series.study_uid for series in found}):
            found += pacs.find_series(Query(study_uid=study_uid, modality="RTSTRUCT"))
    return found


def _fetch_all(pacs: Pacs, found: list[SeriesAtPacs], out: Path, teller: Teller) -> None:
    """Fetch series, and end with an error if some did not come; the others are there."""
    from gossamer.atomic import storage_error
    from gossamer.errors import NotFetchedError, PacsAwayError, PacsError, PacsRefusedError

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(error, "wanted to make the folder given with --out") from error
    failed = 0
    with teller.task("Fetching", len(found)) as task:
        for series in found:
            folder = out / series.digest[:FOLDER_DIGITS]
            if folder.exists():
                typer.echo(f"{series.key}\t{series.modality}\tfetched before")
                task.skip(1)
                continue
            try:
                images = pacs.fetch(series, folder, lambda _done, of: task.advance(1 / of))
            except (PacsAwayError, PacsRefusedError):
                raise
            except PacsError as error:
                failed += 1
                teller.say(f"{error.code}: {error}")
                continue
            typer.echo(f"{series.key}\t{series.modality}\t{images} images")
    if failed:
        raise NotFetchedError(
            f"wanted {len(found)} series; found {failed} that did not come, named above; run the same command "
            "again: it goes on where it stopped"
        )


def _contour_by(model: Model, held: frozenset[Name], teller: Teller) -> Callable[[Path], Path]:
    """What draws on the series of a folder, unless it gets a warning of these."""
    from gossamer.dicom.files.headers import read_headers
    from gossamer.dicom.series.find import find_series
    from gossamer.dicom.series.key import series_key
    from gossamer.errors import UnlikeCtError, UnreadableImageError
    from gossamer.segment.contouring import contour_series
    from gossamer.segment.wanted import Wanted

    def contour(folder: Path) -> Path:
        found = find_series(read_headers(folder, workers=1).headers, workers=1)
        if not found.series:
            if found.refused:
                raise found.refused[0].error
            raise UnreadableImageError("wanted a CT series; found no image of one; contour it by hand")
        [series, *_] = found.series
        folder_out = folder.with_name("contoured")
        folder_out.mkdir()
        key = series_key(series.series_uid)
        with teller.task(f"Series {key}: contouring", 1.0) as task:
            contoured = contour_series(
                series,
                model,
                folder_out,
                Wanted("rtstruct"),
                now=datetime.now(),
                on_window=lambda _done, total: task.advance(1 / total),
            )
        for note in contoured.notes:
            teller.say(f"Series {key}: {note}")
        if contoured.empty:
            teller.say(f"Series {key}: not found and left out: {', '.join(contoured.empty)}")
        if names := [warning.name for warning in contoured.warnings if warning.name in held]:
            raise UnlikeCtError(
                f"wanted a CT like those that the model learned from; found the warnings "
                f"{', '.join(dict.fromkeys(names))}, above; "
                "nothing was stored: contour it by hand, or choose other series in [watch]"
            )
        return contoured.path

    return contour


def _sum_up(counts: dict[str, int], *, failed_now: int) -> None:
    """Say what stands in the state, and end with an error if a series of this run failed or waits for another try."""
    from gossamer.errors import DataError

    typer.echo(
        f"In all {counts['done']} series contoured, {counts['there']} had been before, {counts['held']} held back, "
        f"{counts['failed']} given up."
    )
    if missed := counts["trying"] + failed_now:
        raise DataError(
            f"wanted all new series contoured; found {missed} that failed, with reasons above; run the same command "
            "again, or contour them by hand"
        )
