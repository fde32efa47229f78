"""``gossamer predict``: from CTs to one mask per structure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from gossamer.cli.console import Teller
    from gossamer.evaluate.predicted import PredictionRecord
    from gossamer.segment.model_file import Model
    from gossamer.segment.output import ImageFile


def predict(
    *,
    input_path: Path = typer.Option(
        ..., "--input", "-i", exists=True, help="A CT (.nii or .nii.gz, in HU), a folder of CTs, or a dataset."
    ),
    output: Path = typer.Option(..., "--output", "-o", file_okay=False, help="Folder for the results; made if absent."),
    model_path: Path = typer.Option(..., "--model", "-m", help="Model file (.safetensors)."),
    labelmap: bool = typer.Option(
        False, "--labelmap", help="Write one label map as well; voxels in several masks go to the smallest structure."
    ),
    device: str = typer.Option("auto", "--device", help="cpu, cuda, or auto: cuda where there is one. None is needed."),
    as_json: bool = typer.Option(False, "--json", help="Print the result as JSON."),
) -> None:
    """Segment CTs: one mask per structure, on the CT's own grid. Overlaps survive. Not a medical device.

    Writes OUTPUT/<case>/segmentations/<structure>.nii.gz and OUTPUT/<case>/prediction.json. A case that was predicted
    before, from the same image and by the same model, is passed over.
    """
    from gossamer.cli.console import Teller
    from gossamer.errors import DataError
    from gossamer.segment.model_file import read_model
    from gossamer.segment.output import find_images, is_done

    teller = Teller()
    images = find_images(input_path)
    model = read_model(model_path)
    model.network.to(_device(device))
    teller.say(f"Model {model.sha256[:12]}: {len(model.plan.structures)} structures. {model.intended_use}")
    output.mkdir(parents=True, exist_ok=True)
    records: dict[str, PredictionRecord] = {}
    failed: list[DataError] = []
    for image in images:
        if is_done(output, image, model, label_map=labelmap):
            teller.say(f"{image.case}: predicted before by this model; passed over")
            continue
        try:
            records[image.case] = _predict_case(image, output, model, teller, label_map=labelmap)
        except DataError as error:
            failed.append(error)
            teller.say(f"{error.code}: {error}")
    _show(records, as_json=as_json)
    if failed and len(images) == 1:
        raise failed[0]
    if failed:
        raise DataError(
            f"wanted {len(images)} predictions; found {len(failed)} that failed, named above; "
            "mend or remove their images and run the same command again: it goes on where it stopped"
        )


def _device(name: str) -> str:
    import torch

    from gossamer.errors import UsageError

    present = torch.cuda.is_available()
    if name not in ("auto", "cpu", "cuda") or (name == "cuda" and not present):
        raise UsageError(
            f"wanted a device to run on; found --device {name}, and {'a' if present else 'no'} CUDA device in this "
            "machine; give cpu, cuda or auto"
        )
    return "cuda" if present and name != "cpu" else "cpu"


def _predict_case(
    source: ImageFile, output: Path, model: Model, teller: Teller, *, label_map: bool
) -> PredictionRecord:
    from gossamer.data.image import read_nifti
    from gossamer.segment.output import write_prediction
    from gossamer.segment.predict import predict_masks

    image = read_nifti(source.path, f"case {source.case}, image")
    with teller.task(source.case, total=1.0) as task:
        masks = predict_masks(model.network, model.plan, image, on_window=lambda _done, total: task.advance(1 / total))
    record = write_prediction(output, source, image, masks, model, label_map=label_map)
    if record.not_found:
        teller.say(f"{source.case}: not found and left out: {', '.join(record.not_found)}")
    if record.label_map is not None:
        teller.say(
            f"{source.case}: label map: {record.label_map.decided_voxels} voxels lay in more than one mask and were "
            "given to the smallest of them"
        )
    return record


def _show(records: dict[str, PredictionRecord], *, as_json: bool) -> None:
    """The volumes found, on stdout."""
    if as_json:
        typer.echo(json.dumps({case: record.model_dump() for case, record in records.items()}, indent=2))
        return
    for case, record in records.items():
        for structure, volume_ml in record.volumes_ml.items():
            typer.echo(f"{case}\t{structure}\t{volume_ml:.2f} ml" if volume_ml else f"{case}\t{structure}\tnot found")
