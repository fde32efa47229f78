"""``gossamer predict``: from CTs to structures: masks, a structure set, or a segmentation."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import typer

if TYPE_CHECKING:
    from gossamer.cli.console import Teller
    from gossamer.dicom.rtstruct.drawing import Holes
    from gossamer.errors import DataError
    from gossamer.evaluate.predicted import PredictionRecord
    from gossamer.segment.finished import Source
    from gossamer.segment.model_file import Model
    from gossamer.segment.output import ImageFile
    from gossamer.segment.series_output import SeriesSource
    from gossamer.segment.wanted import Form, Wanted

FORMATS = ("rtstruct", "seg", "nifti")
HOLES = ("keyhole", "nested", "xor")


def predict(
    *,
    input_path: Path = typer.Option(
        ...,
        "--input",
        "-i",
        exists=True,
        help="A CT (.nii or .nii.gz, in HU), a folder of CTs, a dataset, or a folder with DICOM CT series.",
    ),
    output: Path = typer.Option(..., "--output", "-o", file_okay=False, help="Folder for the results; made if absent."),
    model_path: Path = typer.Option(..., "--model", "-m", help="Model file (.safetensors)."),
    form: str | None = typer.Option(
        None,
        "--format",
        help="rtstruct, seg (DICOM segmentation) or nifti. DICOM gives rtstruct if it is not given, NIfTI gives nifti.",
    ),
    smooth_mm: float = typer.Option(
        0.0, "--smooth", min=0.0, metavar="MM", help="Contours may leave the masks' outlines by this much; 0 is exact."
    ),
    holes: str = typer.Option(
        "keyhole",
        "--holes",
        help="How a structure set says holes: keyhole (most systems read it), nested (contours), or xor (DICOM's own).",
    ),
    labelmap: bool = typer.Option(
        False, "--labelmap", help="Write one label map as well; voxels in several masks go to the smallest structure."
    ),
    device: str = typer.Option("auto", "--device", help="cpu, cuda, or auto: cuda where there is one. None is needed."),
    as_json: bool = typer.Option(False, "--json", help="Print the result as JSON."),
) -> None:
    """Segment CTs, on the CT's own grid. Overlaps survive, empty structures are left out. Not a medical device.

    Of NIfTI: OUTPUT/<case>/segmentations/<structure>.nii.gz and OUTPUT/<case>/prediction.json. Of each DICOM series:
    OUTPUT/CT-<key>/RTSTRUCT-<key>.dcm (or SEG-<key>.dcm, or masks with the CT as NIfTI) and prediction.json. What was
    predicted before, from the same image and by the same model, is passed over.
    """
    from gossamer.cli.console import Teller
    from gossamer.errors import UsageError
    from gossamer.segment.output import find_images, holds_nifti
    from gossamer.segment.wanted import Wanted

    if form not in (None, *FORMATS):
        raise UsageError(f"wanted --format {', '.join(FORMATS)}; found {form!r:.20}; give one of them")
    if holes not in HOLES:
        raise UsageError(f"wanted --holes {', '.join(HOLES)}; found {holes!r:.20}; give one of them")
    run = _Run(output, Teller(), lambda: _model(model_path, device))
    if not (input_path.is_file() or holds_nifti(input_path)):
        wanted = Wanted(cast("Form", form or "rtstruct"), smooth_mm, labelmap, cast("Holes", holes))
        _predict_series(run, input_path, wanted)
    elif form in ("rtstruct", "seg") or smooth_mm or holes != HOLES[0]:
        raise UsageError(
            "wanted a DICOM series that a structure set or segmentation can refer to; found NIfTI at the path given "
            "with -i; give a folder of the DICOM series, or leave --format, --smooth and --holes out"
        )
    else:
        _predict_images(run, find_images(input_path), label_map=labelmap)
    _show(run.records, as_json=as_json)
    run.raise_failed()


@dataclass
class _Run:
    """What became of each case; one that fails does not end the others."""

    output: Path
    teller: Teller
    read: Callable[[], Model]
    records: dict[str, PredictionRecord] = field(default_factory=dict)
    failed: list[DataError] = field(default_factory=list)
    cases: int = 0

    def start(self, cases: int) -> Model:
        """Read the model and say what it is; make the output's folder."""
        from gossamer.atomic import storage_error

        self.cases = cases
        model = self.read()
        self.teller.say(f"Model {model.sha256[:12]}: {len(model.plan.structures)} structures. {model.intended_use}")
        try:
            self.output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise storage_error(error, "wanted to make the folder given with -o") from error
        return model

    def try_one(self, source: Source, model: Model, wanted: Wanted, predict_it: Callable[[], PredictionRecord]) -> None:
        """Predict a case unless that was done before, and tell how it went."""
        from gossamer.errors import DataError
        from gossamer.segment.finished import finished_record

        case = source.case
        try:
            if finished := finished_record(self.output, source, model, wanted):
                self.records[case] = finished
                self.teller.say(f"{case}: predicted before by this model; passed over")
                return
            record = self.records[case] = predict_it()
        except DataError as error:
            self.fail(error, case)
            return
        if record.not_found:
            self.teller.say(f"{case}: not found and left out: {', '.join(record.not_found)}")
        for note in record.notes:
            self.teller.say(f"{case}: {note}")
        if record.label_map is not None:
            self.teller.say(
                f"{case}: label map: {record.label_map.decided_voxels} voxels lay in more than one mask and were "
                "given to the smallest of them"
            )

    def fail(self, error: DataError, case: str) -> None:
        self.failed.append(error)
        if self.cases > 1:  # of a single one the command's own error says it
            self.teller.say(f"{error.code}: {error}" if case in str(error) else f"{error.code}: {case}: {error}")

    def raise_failed(self) -> None:
        from gossamer.errors import DataError

        if self.failed and self.cases == 1:
            raise self.failed[0]
        if self.failed:
            raise DataError(
                f"wanted {self.cases} predictions; found {len(self.failed)} that failed, named above; "
                "mend or remove their images and run the same command again: it goes on where it stopped"
            )


def _predict_images(run: _Run, images: Sequence[ImageFile], *, label_map: bool) -> None:
    """Predict CTs as NIfTI."""
    from gossamer.segment.wanted import Wanted

    model, wanted = run.start(len(images)), Wanted(label_map=label_map)
    for image in images:
        run.try_one(image, model, wanted, partial(_predict_image, image, run, model, label_map=label_map))


def _predict_image(source: ImageFile, run: _Run, model: Model, *, label_map: bool) -> PredictionRecord:
    from gossamer.data.foreign_files import read_apart
    from gossamer.data.image import read_nifti
    from gossamer.segment.output import write_prediction
    from gossamer.segment.predict import predict_masks
    from gossamer.segment.unlike import remarks_on

    read = partial(read_nifti, what=f"case {source.case}, image")
    image = read_apart(read, source.path, [source.path], "a CT")
    with run.teller.task(source.case, total=1.0) as task:
        masks = predict_masks(model.network, model.plan, image, on_window=lambda _done, total: task.advance(1 / total))
    notes = remarks_on(image, masks, model).notes
    return write_prediction(run.output, source, image, masks, model, label_map=label_map, notes=notes)


def _predict_series(run: _Run, folder: Path, wanted: Wanted) -> None:
    """Predict the DICOM series in a folder."""
    from gossamer.segment.series_output import find_sources

    with run.teller.task("Headers", total=1.0) as task:
        found = find_sources(folder, workers=1, on_file=lambda _done, of: task.advance(1 / of))
    model = run.start(len(found.refused) + len(found.sources))
    for line in found.unreadable:
        run.teller.say(f"A file was left out: {line}")
    for case, error in found.refused:
        run.fail(error, case)
    for source in found.sources:
        run.teller.say(f"{source.case}: {len(source.series.slices)} slices")
        run.try_one(source, model, wanted, partial(_contour, source, run, model, wanted))


def _contour(source: SeriesSource, run: _Run, model: Model, wanted: Wanted) -> PredictionRecord:
    from gossamer.segment.series_output import write_contoured

    with run.teller.task(source.case, total=1.0) as task:
        record, _ = write_contoured(
            run.output,
            source,
            model,
            wanted,
            now=datetime.now(),
            on_window=lambda _done, total: task.advance(1 / total),
        )
    return record


def _model(path: Path, device: str) -> Model:
    from gossamer.cli.devices import chosen_device
    from gossamer.segment.model_file import read_model

    model = read_model(path)
    model.network.to(chosen_device(device))
    return model


def _show(records: dict[str, PredictionRecord], *, as_json: bool) -> None:
    """The volumes found, on stdout."""
    if as_json:
        typer.echo(json.dumps({case: record.model_dump() for case, record in records.items()}, indent=2))
        return
    for case, record in records.items():
        for structure, volume_ml in record.volumes_ml.items():
            typer.echo(f"{case}\t{structure}\t{volume_ml:.2f} ml" if volume_ml else f"{case}\t{structure}\tnot found")
