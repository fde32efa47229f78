"""A raw data set of nnU-Net v2: ``imagesTr``, ``labelsTr`` and ``dataset.json``; one CT channel.

``imagesTs`` with ``labelsTs`` become test cases; without labels they are left alone. A region (a label of several
values) becomes a structure of its own and may overlap others.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel

from gossamer.data.description import Split
from gossamer.data.importers.label_map import Labels, WholeSetCase
from gossamer.data.importers.naming import standard_names
from gossamer.data.importers.whole_set import VAL_FRACTION, train_val_split
from gossamer.documents import parse_json
from gossamer.errors import DatasetError


class NnunetDescription(BaseModel):
    """What we need of ``dataset.json``; nnU-Net allows more keys."""

    channel_names: dict[str, str]
    labels: dict[str, int | list[int]]
    file_ending: str


def nnunet_cases(
    folder: Path,
    site: str,
    names: Mapping[str, str],
    *,
    skip_unknown: bool = False,
    val_fraction: float = VAL_FRACTION,
    seed: int = 0,
    score_cut: bool = False,
) -> list[WholeSetCase]:
    """The cases of a folder ``DatasetXXX_Name``.

    Args:
        folder: holds ``dataset.json``.
        site: the hospital they come from.
        names: standard names by own names, looked at before our table.
        skip_unknown: leave out labels that have no standard name.
        val_fraction: share of ``imagesTr`` that validates.
        seed: of that draw.
        score_cut: score structures that reach the first or last slice, too.

    Raises:
        DatasetError: it is not such a folder, or not of one CT channel.
        UnknownStructureError: a label has no standard name.
    """
    text = read_description(folder, "nnU-Net")
    try:
        description = parse_json(text, NnunetDescription, "nnU-Net's dataset.json", DatasetError)
    except DatasetError as error:
        raise DatasetError(f"{error}; is it of nnU-Net v1 or the decathlon? then use import msd") from error
    _require_ct(description)
    values = {name: (v,) if isinstance(v, int) else tuple(v) for name, v in description.labels.items()}
    values = {name: found for name, found in values.items() if found != (0,)}
    if "ignore" in values:
        raise DatasetError(
            "nnU-Net's dataset.json: wanted labels that are structures; found 'ignore', which marks voxels that nobody "
            "drew; take such cases out, or list what was drawn in a table"
        )
    ending = description.file_ending
    standard = standard_names(values, names, skip_unknown=skip_unknown)
    labels: Labels = tuple((standard[name], found) for name, found in values.items() if name in standard)
    known = tuple(sorted({value for found in values.values() for value in found}))
    ids = _labelled(folder / "labelsTr", ending)
    splits: dict[str, Split] = train_val_split(ids, val_fraction, seed)
    places = [("Tr", case_id, splits[case_id]) for case_id in ids]
    places += [("Ts", case_id, "test") for case_id in _labelled(folder / "labelsTs", ending)]
    return [
        WholeSetCase(
            id=case_id,
            split=split,
            sites=(site,),
            image=folder / f"images{part}" / f"{case_id}_0000{ending}",
            labelmap=folder / f"labels{part}" / f"{case_id}{ending}",
            labels=labels,
            known_values=known,
            score_cut=score_cut,
        )
        for part, case_id, split in places
    ]


def read_description(folder: Path, layout: str) -> str:
    """Text of ``dataset.json``.

    Raises:
        DatasetError: it cannot be read.
    """
    try:
        return (folder / "dataset.json").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(
            f"{layout}: wanted a folder with dataset.json; found none that can be read; give the folder that holds it"
        ) from error


def _require_ct(description: NnunetDescription) -> None:
    channels = list(description.channel_names.values())
    if [channel.upper() for channel in channels] != ["CT"]:
        raise DatasetError(
            f"nnU-Net's dataset.json: wanted one channel, CT; found {', '.join(channels)}; only CT can be imported"
        )
    if description.file_ending not in (".nii.gz", ".nii"):
        raise DatasetError(
            f"nnU-Net's dataset.json: wanted file_ending .nii.gz or .nii; found {description.file_ending!r}; convert it"
        )


def _labelled(folder: Path, ending: str) -> list[str]:
    return sorted(path.name.removesuffix(ending) for path in folder.glob(f"[!.]*{ending}"))
