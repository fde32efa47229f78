"""Scoring a folder of predictions against a folder of references, case by case.

A reference is a dataset (then only organs that are ``complete`` in a case are scored, since what was not drawn is
unknown) or any folder of cases with a mask per structure (then an empty mask says that the organ is absent). An organ
that the predictions know and a case does not have counts as missed there; one that they do not know is not scored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gossamer.data.dataset import Dataset
from gossamer.data.frame import Frame
from gossamer.data.image import read_label_map, read_mask_nifti
from gossamer.errors import DatasetError, UsageError
from gossamer.evaluate.predicted import mask_files, read_record
from gossamer.evaluate.score import Score, score_masks
from gossamer.evaluate.tolerance import tolerance_mm


@dataclass(frozen=True)
class ReferenceCase:
    """A case with the masks it is scored against, by organ."""

    id: str
    masks: Mapping[str, Path]


@dataclass(frozen=True)
class OrganResult:
    """One organ of one case."""

    case: str
    organ: str
    tolerance_mm: float
    score: Score


@dataclass(frozen=True, eq=False)
class OrganMasks:
    """The two masks of one organ of one case.

    Attributes:
        case: the case.
        organ: TG-263 name.
        prediction: bool [z, y, x]; empty where the organ was missed.
        reference: bool [z, y, x].
        frame: where both lie.
    """

    case: str
    organ: str
    prediction: NDArray[np.bool_]
    reference: NDArray[np.bool_]
    frame: Frame


@dataclass(frozen=True)
class Comparison:
    """What is compared with what.

    Attributes:
        predictions: folder of predicted cases.
        cases: the cases that are scored.
        organs: what the predictions know.
        not_predicted: cases of the reference without a prediction; not scored.
        not_drawn: predicted cases without a reference; not scored.
        unknown_organs: organs of the reference that the predictions do not know; not scored.
    """

    predictions: Path
    cases: tuple[ReferenceCase, ...]
    organs: frozenset[str]
    not_predicted: tuple[str, ...]
    not_drawn: tuple[str, ...]
    unknown_organs: tuple[str, ...]


def compare(predictions: Path, reference: Path, split: str | None = None) -> Comparison:
    """Find out which cases and organs can be compared.

    Args:
        predictions: folder of predicted cases (``gossamer.evaluate.predicted``).
        reference: a dataset, or a folder of cases.
        split: with a dataset: score all cases of this split, and count organs as missed where a case has no
            prediction. Without it, cases that have no prediction are left out and named.

    Raises:
        DatasetError: a folder holds no cases, or no case is in both.
        UsageError: a split is asked for, and the reference is not a dataset.
    """
    drawn = _reference_cases(reference, split)
    predicted = {path.name for path in predictions.iterdir() if path.is_dir()} if predictions.is_dir() else set()
    both = [case for case in drawn if case.id in predicted]
    if not both:
        raise DatasetError(
            f"wanted cases that are in both folders; found {len(predicted)} predicted and {len(drawn)} reference cases "
            "without a common one; a case's folder must have the same name in both"
        )
    organs = frozenset().union(*(_known_organs(predictions / case.id) for case in both))
    return Comparison(
        predictions=predictions,
        cases=tuple(drawn if split is not None else both),
        organs=organs,
        not_predicted=tuple(case.id for case in drawn if case.id not in predicted),
        not_drawn=tuple(sorted(predicted - {case.id for case in drawn})),
        unknown_organs=tuple(sorted({organ for case in both for organ in case.masks} - organs)),
    )


def read_organs(comparison: Comparison, case: ReferenceCase) -> Iterator[OrganMasks]:
    """Read the masks of one case, organ by organ.

    Args:
        comparison: that the case belongs to.
        case: one of its cases.

    Raises:
        UnreadableImageError: a mask cannot be read.
        GeometryMismatchError: a prediction is not on its reference's grid.
    """
    predicted = mask_files(comparison.predictions / case.id)
    for organ, path in case.masks.items():
        if organ not in comparison.organs:
            continue
        labels, frame = read_label_map(path, f"case {case.id}, reference {organ}")
        reference = labels != 0
        if organ in predicted:
            prediction = read_mask_nifti(predicted[organ], frame, f"case {case.id}, predicted {organ}")
        else:
            prediction = np.zeros_like(reference)
        yield OrganMasks(case.id, organ, prediction, reference, frame)


def score_organ(masks: OrganMasks, metrics: Sequence[str]) -> OrganResult:
    """Score one organ; ``metrics`` are keys of ``gossamer.evaluate.metrics.ALL_METRICS``."""
    tau_mm = tolerance_mm(masks.organ)
    score = score_masks(masks.prediction, masks.reference, masks.frame.spacing_mm, tau_mm, metrics)
    return OrganResult(masks.case, masks.organ, tau_mm, score)


def score_case(comparison: Comparison, case: ReferenceCase, metrics: Sequence[str]) -> Iterator[OrganResult]:
    """Score the organs of one case; arguments and errors as of :func:`read_organs` and :func:`score_organ`."""
    for masks in read_organs(comparison, case):
        yield score_organ(masks, metrics)


def _known_organs(folder: Path) -> set[str]:
    record = read_record(folder)
    return set(record.volumes_ml) if record else set(mask_files(folder))


def _reference_cases(folder: Path, split: str | None) -> list[ReferenceCase]:
    if (folder / "dataset.json").is_file():
        dataset = Dataset.open(folder)
        chosen = [case for case in dataset.cases if split in (None, case.split)]
        cases = [
            ReferenceCase(
                case.id, {organ: path for organ, path in mask_files(folder / case.id).items() if organ in case.complete}
            )
            for case in chosen
        ]
    elif split is not None:
        raise UsageError(
            f"wanted the cases of split {split!r}; found a reference folder without dataset.json, which knows no "
            "splits; leave --split out"
        )
    else:
        places = sorted(path for path in folder.glob("*") if (path / "segmentations").is_dir())
        cases = [ReferenceCase(place.name, mask_files(place)) for place in places]
    if not cases:
        raise DatasetError(
            "wanted reference cases; found none in the folder; give a dataset (with dataset.json), or a folder with "
            "<case>/segmentations/<structure>.nii.gz"
        )
    return cases
