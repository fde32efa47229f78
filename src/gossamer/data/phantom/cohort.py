"""Synthetic cohorts: one dataset folder for each hospital."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from gossamer.data.dataset import DatasetWriter
from gossamer.data.description import Split
from gossamer.data.phantom.hospital import HOSPITALS, Hospital, Region
from gossamer.data.phantom.patient import draw_patient

VERSION = 1
"""Of the drawing; a change of the pictures raises it, so that old cases are drawn anew."""


def write_cohort(
    folder: Path,
    *,
    region: Region = "abdomen",
    hospitals: Sequence[Hospital] = HOSPITALS,
    train: int,
    val: int,
    test: int = 0,
    seed: int = 0,
    on_patient: Callable[[], None] | None = None,
) -> list[Path]:
    """Write a dataset for each hospital; patients that are there already, drawn from the same, are kept.

    Args:
        folder: gets one folder a hospital, by its name.
        region: of the body.
        hospitals: who scans and contours.
        train: patients of each hospital to train on.
        val: to choose checkpoints on.
        test: to keep apart.
        seed: of the cohort. Patient and hospital change with it, and not with the number of patients.
        on_patient: called when one is there.

    Returns:
        The datasets' folders.

    Raises:
        DatasetError: a folder holds another dataset.
        StorageError: a file cannot be written.
    """
    splits: tuple[tuple[Split, int], ...] = (("train", train), ("val", val), ("test", test))
    folders = []
    for hospital in hospitals:
        writer = DatasetWriter(folder / hospital.name, hospital.name, public=True)
        for split, count in splits:
            for number in range(count):
                case_id = f"{hospital.name}-{split}-{number:03d}"
                _add(writer, hospital, region, split, case_id=case_id, seed=seed)
                if on_patient is not None:
                    on_patient()
        writer.finish()
        folders.append(writer.folder)
    return folders


def _add(writer: DatasetWriter, hospital: Hospital, region: Region, split: Split, *, case_id: str, seed: int) -> None:
    """Draw a patient, unless a former run has."""
    made_from = hashlib.sha256(repr((VERSION, region, hospital, seed, case_id)).encode()).hexdigest()
    if there := writer.finished(case_id, made_from):
        writer.keep(there)
        return
    patient = draw_patient(region, hospital, (seed, zlib.crc32(case_id.encode())))
    writer.add(
        case_id,
        split,
        patient.image,
        patient.masks,
        annotated=patient.annotated,
        complete=patient.complete,
        made_from=made_from,
    )
