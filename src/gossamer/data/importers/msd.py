"""A task of the Medical Segmentation Decathlon: ``dataset.json`` lists images and label maps; one CT channel.

Source: M. Antonelli et al., "The Medical Segmentation Decathlon", Nature Communications 13, 4128, 2022. The
decathlon's own test cases have no labels and are left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel

from gossamer.data.importers.label_map import WholeSetCase
from gossamer.data.importers.naming import standard_names
from gossamer.data.importers.nnunet import read_description
from gossamer.data.importers.whole_set import VAL_FRACTION, train_val_split
from gossamer.documents import parse_json
from gossamer.errors import DatasetError


class MsdPair(BaseModel):
    """An image and its label map, relative to the folder."""

    image: str
    label: str


class MsdDescription(BaseModel):
    """What we need of ``dataset.json``."""

    modality: dict[str, str]
    labels: dict[int, str]
    training: list[MsdPair]


def msd_cases(
    folder: Path,
    site: str,
    names: Mapping[str, str],
    *,
    skip_unknown: bool = False,
    val_fraction: float = VAL_FRACTION,
    seed: int = 0,
    score_cut: bool = False,
) -> list[WholeSetCase]:
    """The cases of a folder ``TaskXX_Name``; arguments and errors as for ``nnunet_cases``."""
    what = "the decathlon's dataset.json"
    description = parse_json(read_description(folder, "Decathlon"), MsdDescription, what, DatasetError)
    if (modalities := list(description.modality.values())) != ["CT"]:
        raise DatasetError(f"{what}: wanted one modality, CT; found {', '.join(modalities)}; only CT can be imported")
    value_of = {name: value for value, name in description.labels.items() if value != 0}
    if twice := [name for value, name in description.labels.items() if value != value_of.get(name, value)]:
        raise DatasetError(
            f"{what}: wanted one value a structure; found two of {twice[0]}; join them in the label maps"
        )
    standard = standard_names(value_of, names, skip_unknown=skip_unknown)
    labels = tuple((standard[name], (value,)) for name, value in value_of.items() if name in standard)
    pairs = {_case_id(pair.image): pair for pair in description.training}
    if len(pairs) < len(description.training):
        ids = [_case_id(pair.image) for pair in description.training]
        twice = sorted({case_id for case_id in ids if ids.count(case_id) > 1})
        raise DatasetError(f"{what}: wanted each case once; found {', '.join(twice[:5])} twice; take the copies out")
    splits = train_val_split(list(pairs), val_fraction, seed)
    return [
        WholeSetCase(
            id=case_id,
            split=splits[case_id],
            sites=(site,),
            image=_inside(folder, pair.image, what),
            labelmap=_inside(folder, pair.label, what),
            labels=labels,
            known_values=tuple(value_of.values()),
            score_cut=score_cut,
        )
        for case_id, pair in pairs.items()
    ]


def _case_id(image: str) -> str:
    return Path(image).name.removesuffix(".gz").removesuffix(".nii")


def _inside(folder: Path, entry: str, what: str) -> Path:
    """The file an entry names; a downloaded description must not point elsewhere."""
    path = folder / entry
    if not path.resolve().is_relative_to(folder.resolve()):
        raise DatasetError(f"{what}: wanted files inside its folder; found an entry that leads out of it; correct it")
    return path
