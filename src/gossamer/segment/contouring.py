"""From a CT series to what a planning system opens: predicted, carried back onto its slices, written, read back.

The seam that ``gossamer predict`` and the watch on a PACS share.

Law
    1. A structure set or segmentation lies on the series' own slices, where each of them says. A series whose slices
       are uneven or whose gantry was tilted is predicted on an even grid, and its masks are carried back.
    2. What cannot be written is found before the network runs; what was written is read back before it is in its place.
    3. Nothing empty is a result: a structure without a voxel is left out and named, and a series without any raises.
    4. A CT is read apart, within bounds of memory and time.
    5. No name of a file and no note holds what a hospital wrote.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from gossamer import __version__
from gossamer.data.foreign_files import read_apart
from gossamer.data.image import Image
from gossamer.dicom.outgoing.appearance import colour_of
from gossamer.dicom.outgoing.made_by import MAX_LO, MadeBy, is_plain
from gossamer.dicom.outgoing.reference import ReferenceSeries, read_referred
from gossamer.dicom.outgoing.roi_names import planning_names
from gossamer.dicom.outgoing.write_segmentation import write_segmentation
from gossamer.dicom.outgoing.write_structure_set import Smoothed, write_structure_set
from gossamer.dicom.series.canonical import canonical_image
from gossamer.dicom.series.ct_series import CtSeries
from gossamer.dicom.series.key import series_key
from gossamer.dicom.series.stack import SliceStack
from gossamer.dicom.series.volume import NativeVolume, read_volume
from gossamer.errors import EmptyMaskError
from gossamer.evaluate.predicted import LabelMapRecord
from gossamer.segment.masks import PackedMasks
from gossamer.segment.model_file import Model, ModelRecord
from gossamer.segment.native_masks import NativeMasks
from gossamer.segment.output import CT_FILE, Grid, write_masks
from gossamer.segment.predict import predict_masks
from gossamer.segment.unlike import CtWarning, because, remarks_on
from gossamer.segment.wanted import Form, Wanted

LABEL = "Gossamer"
"""What a planning system lists: Structure Set Label, or Content Label of a segmentation."""


@dataclass(frozen=True)
class Contoured:
    """A series that was contoured.

    Attributes:
        path: the file that was written; of the form ``nifti`` the folder that holds ``segmentations``.
        form: what was written.
        sop_instance_uid: of the structure set or segmentation; "" of NIfTI.
        volumes_ml: of each structure of the model, on the grid that was predicted; 0 where it was left out.
        smoothed: what smoothing did, by the structure's name in the file; empty where nothing was smoothed.
        label_map: what the label map's values mean, if one was written.
        warnings: of a CT unlike those that the model learned from; the notes have them, too.
        notes: what a user should know, warnings of a CT that is unlike the training data first.
    """

    path: Path = field(repr=False)
    form: Form
    sop_instance_uid: str
    volumes_ml: Mapping[str, float]
    smoothed: Mapping[str, Smoothed]
    label_map: LabelMapRecord | None
    warnings: tuple[CtWarning, ...]
    notes: tuple[str, ...]

    @property
    def empty(self) -> tuple[str, ...]:
        """Structures left out because they were not found."""
        return tuple(name for name, volume in self.volumes_ml.items() if not volume)


def contour_series(
    series: CtSeries,
    model: Model,
    folder: Path,
    wanted: Wanted,
    *,
    now: datetime,
    name: str = "",
    label: str = LABEL,
    on_window: Callable[[int, int], None] = lambda done, total: None,
) -> Contoured:
    """Predict a CT series and write its structures.

    Args:
        series: as ``find_series`` found it; its files are read, never changed.
        model: its network is on the device that shall run it.
        folder: exists; gets ``RTSTRUCT-<name>.dcm``, ``SEG-<name>.dcm``, or ``segmentations/<structure>.nii.gz`` with
            ``ct.nii.gz`` beside, the CT on the same grid. A file of that name is replaced, NIfTI masks are added.
        wanted: what to write.
        now: date and time that the file says.
        name: part of the file's name; "" takes ``series_key`` of its Series Instance UID.
        label: what a planning system lists, at most 16 ASCII characters.
        on_window: told after each window how many of how many are done.

    Raises:
        UsageError: a text that no file may have.
        UnreadableImageError: the series cannot be read, or not within its bounds, or lacks a UID that has to be copied.
        WorkerError: no process that reads it can be started.
        GeometryMismatchError: it cannot be carried onto an even grid, or what was written is not what was predicted.
        EmptyMaskError: no structure was found; nothing is written.
        StorageError: the result cannot be written (``DiskFullError`` where there is no room).
    """
    form = wanted.form
    reference, volume = _read(series, form)
    image, regular = canonical_image(volume.voxels, series.stack)
    native_notes = (*series.notes, *volume.notes)
    del volume  # of uneven slices it is a second copy
    masks = predict_masks(model.network, model.plan, image, on_window=on_window)
    if len(masks.empty()) == len(masks):
        raise EmptyMaskError(
            f"wanted at least one of {', '.join(masks)}; found none of them in the CT, and wrote nothing; does it show "
            f"a region that the model knows?{because(image, model)}"
        )
    predicted = _Predicted(image, masks, series.stack, regular)
    if reference is None:
        written = _write_nifti(folder, predicted, label_map=wanted.label_map)
    else:
        path = folder / f"{form.upper()}-{name or series_key(series.series_uid)}.dcm"
        write = _write_segmentation if form == "seg" else _write_structure_set
        written = write(path, predicted, reference, made_by_model(model), label=label, now=now, wanted=wanted)
    remarks = remarks_on(image, masks, model)
    volumes_ml = predicted.volumes_ml(written.empty)
    return Contoured(
        path=written.path,
        form=form,
        sop_instance_uid=written.sop_instance_uid,
        volumes_ml=volumes_ml,
        smoothed=written.smoothed,
        label_map=written.label_map,
        warnings=remarks.warnings,
        notes=(*remarks.notes, *native_notes, *written.notes),
    )


def made_by_model(model: Model) -> MadeBy:
    """What structure sets and segmentations of a model say of their origin."""
    return MadeBy("Gossamer", __version__, model.sha256, federation_of(model.record))


def federation_of(record: ModelRecord) -> str:
    """Whose model it is, in at most 64 ASCII characters: the federation's hash; of a study its arm and sites."""
    if record.federation:
        return record.federation
    named, counted = f"{record.arm}: {', '.join(record.sites)}", f"{record.arm}: {len(record.sites)} sites"
    plain = next((text for text in (named, counted) if len(text) <= MAX_LO and is_plain(text)), "")
    return plain or f"{len(record.sites)} sites"


@dataclass(frozen=True, eq=False)
class _Predicted:
    """Masks, and the series that they lie on."""

    image: Image
    masks: PackedMasks
    stack: SliceStack
    regular: SliceStack

    def native(self, names: Mapping[str, str]) -> NativeMasks:
        return NativeMasks(self.masks, names, self.stack, self.regular)

    def volumes_ml(self, empty: tuple[str, ...]) -> dict[str, float]:
        voxel_ml = math.prod(self.image.frame.spacing_mm) / 1000
        voxels = self.masks.voxels()
        return {name: 0.0 if name in empty else round(count * voxel_ml, 6) for name, count in voxels.items()}


@dataclass(frozen=True)
class _Written:
    path: Path
    empty: tuple[str, ...]
    notes: tuple[str, ...]
    sop_instance_uid: str = ""
    smoothed: Mapping[str, Smoothed] = field(default_factory=dict)
    label_map: LabelMapRecord | None = None


def _read(series: CtSeries, form: Form) -> tuple[ReferenceSeries | None, NativeVolume]:
    files = [one.header.path for one in series.slices]
    if form == "nifti":
        return None, read_apart(read_volume, series, files, "a CT series")
    return read_apart(read_referred, series, files, "a CT series")


def _write_structure_set(
    path: Path,
    predicted: _Predicted,
    reference: ReferenceSeries,
    made_by: MadeBy,
    *,
    label: str,
    now: datetime,
    wanted: Wanted,
) -> _Written:
    names = planning_names(list(predicted.masks))
    written = write_structure_set(
        path,
        predicted.native(names),
        reference,
        label=label,
        made_by=made_by,
        now=now,
        colours={short: colour_of(name) for short, name in names.items()},
        holes=wanted.holes,
        smooth_mm=wanted.smooth_mm,
    )
    renamed = [
        f"{name} is called {short} in the file, for planning systems" for short, name in names.items() if short != name
    ]
    empty = tuple(names[short] for short in written.empty)
    return _Written(path, empty, (*renamed, *written.notes), written.sop_instance_uid, written.smoothed)


def _write_segmentation(
    path: Path,
    predicted: _Predicted,
    reference: ReferenceSeries,
    made_by: MadeBy,
    *,
    label: str,
    now: datetime,
    wanted: Wanted,
) -> _Written:
    del wanted  # voxels have no contours
    masks = predicted.native({name: name for name in predicted.masks})
    colours = {name: colour_of(name) for name in masks}
    written = write_segmentation(path, masks, reference, label=label, made_by=made_by, now=now, colours=colours)
    return _Written(path, written.empty, written.notes, written.sop_instance_uid)


def _write_nifti(folder: Path, predicted: _Predicted, *, label_map: bool) -> _Written:
    grid = Grid.of_frame(predicted.image.frame)
    labels = write_masks(folder, grid, predicted.masks, label_map=label_map)
    grid.write_image(folder / CT_FILE, predicted.image)
    notes: tuple[str, ...] = ()
    if predicted.regular is not predicted.stack:
        notes = ("slices are uneven or tilted, which NIfTI cannot say: masks and CT lie on an even grid around them",)
    return _Written(folder, predicted.masks.empty(), notes, label_map=labels)
