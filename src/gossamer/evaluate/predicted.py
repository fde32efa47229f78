"""A predicted case as it lies on disk: what ``gossamer predict`` writes and ``gossamer evaluate`` reads.

::

    <case>/segmentations/<structure>.nii.gz   one mask for each structure that was found
          /RTSTRUCT-<key>.dcm, SEG-<key>.dcm  instead of masks, where a DICOM series was contoured so
          /labelmap.nii.gz                    on request: one label a voxel
          /prediction.json                    which model, which image, which structures were not found
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt

from gossamer.documents import parse_json
from gossamer.errors import ConfigurationError, DatasetError

RECORD_FILE = "prediction.json"
LABEL_MAP_FILE = "labelmap.nii.gz"


class LabelMapRecord(BaseModel):
    """What the label map's values mean.

    Attributes:
        labels: value of each structure.
        decided_voxels: voxels in more than one mask, given to the smallest of them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    labels: dict[str, int]
    decided_voxels: NonNegativeInt


class PredictionRecord(BaseModel):
    """What ``prediction.json`` says.

    Attributes:
        gossamer_version: that predicted.
        model_sha256: of the model file.
        image_sha256: of the CT's file; of a DICOM series, of its files' SHA-256 in the order of the slices.
        form: what was written.
        series_sha256: of the Series Instance UID, if it was a DICOM series.
        sop_instance_uid: of the structure set or segmentation.
        holes: how a structure set says them.
        smooth_mm: smoothing that was asked for.
        smoothed_mm: how far it moved a point, by the structure's name in the file.
        notes: what a user should know.
        volumes_ml: of each structure of the model; 0 where it was not found and has no file.
        label_map: of the label map, if there is one.
        intended_use: the model's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    gossamer_version: str
    model_sha256: str
    image_sha256: str
    form: Literal["nifti", "rtstruct", "seg"] = "nifti"
    series_sha256: str = ""
    sop_instance_uid: str = ""
    holes: str = "keyhole"
    smooth_mm: NonNegativeFloat = 0.0
    smoothed_mm: dict[str, NonNegativeFloat] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()
    volumes_ml: dict[str, NonNegativeFloat]
    label_map: LabelMapRecord | None = None
    intended_use: str

    @property
    def not_found(self) -> tuple[str, ...]:
        """Structures the model knows and did not find."""
        return tuple(name for name, volume in self.volumes_ml.items() if volume == 0)


def read_record(folder: Path) -> PredictionRecord | None:
    """The record of a predicted case; None where another program wrote the masks.

    Raises:
        DatasetError: there is a record, and it cannot be read.
    """
    path = folder / RECORD_FILE
    if not path.is_file():
        return None
    what = f"case {folder.name}: {RECORD_FILE}"
    try:
        return parse_json(path.read_text(encoding="utf-8"), PredictionRecord, what, DatasetError)
    except (OSError, UnicodeDecodeError, ConfigurationError) as error:
        raise DatasetError(f"{what}: found a record that cannot be read; predict this case again") from error


def mask_files(folder: Path) -> dict[str, Path]:
    """The masks of a case by structure."""
    suffix = ".nii.gz"
    return {path.name.removesuffix(suffix): path for path in sorted((folder / "segmentations").glob(f"*{suffix}"))}
