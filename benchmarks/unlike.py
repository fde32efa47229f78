"""How often a CT that was altered gets a named warning, and how often one that is well does.

Patients of the OpenKBP set that the model was not trained on (split ``val``) are predicted as they are and under each
alteration of ``benchmarks.altered``; CTs of other regions may be added. An altered CT counts as found if it gets a
warning that the same patient's own CT does not. Any warning of a CT as it is counts as false, right or wrong.

Needs the OpenKBP NIfTI files with index.csv and labels.json, and a model of its structures. Results are kept line by
line: the same command goes on where it stopped.

Run: python -m benchmarks.unlike --model M.safetensors --openkbp DIR --out FILE.jsonl [--other DIR ...] [--split val]
     [--as-they-are]
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from benchmarks.altered import ALTERATIONS, Masks
from benchmarks.figures import Figure, conclude, options_parser
from gossamer.data.image import Image, read_label_map, read_nifti
from gossamer.segment.model_file import Model, read_model
from gossamer.segment.predict import predict_masks
from gossamer.segment.unlike import CtWarning, ct_warnings, image_warnings

AS_IT_IS, OTHER = "as it is", "other region"

MOST_MISSED, MOST_FALSE = 0.05, 0.05

ENOUGH = frozenset(("hu", "spacing", "orientation"))
"""Warnings of the image."""


@dataclass(frozen=True)
class Patient:
    """A case of the set on disk.

    Attributes:
        id: in the public set.
        folder: where its files are.
        annotated: structures drawn in it.
    """

    id: str
    folder: Path
    annotated: tuple[str, ...]

    def image(self) -> Image:
        """The CT."""
        return read_nifti(self.folder / f"{self.id}_ct.nii.gz")

    def masks(self) -> Masks:
        """The clinic's contours."""
        names = json.loads((self.folder / "labels.json").read_text())
        labels, _ = read_label_map(self.folder / f"{self.id}_oar.nii.gz")
        return {name: labels == int(value) for value, name in names.items() if name in self.annotated}


@dataclass(frozen=True)
class Row:
    """A line of the results.

    Attributes:
        case: the patient, or the file of another region.
        alteration: its name.
        warnings: name and text of each.
        seconds: that all of it took.
    """

    case: str
    alteration: str
    warnings: Sequence[tuple[str, str]]
    seconds: float

    @property
    def subjects(self) -> set[tuple[str, str]]:
        """Each warning without the number that was found: its check, and what it is about."""
        return {(name, text.split("; found")[0]) for name, text in self.warnings}


def main() -> None:
    """Predict what is not yet in the file, then print the tables; exit status 1 where a limit is exceeded."""
    options = _options().parse_args()
    torch.set_num_threads(options.threads)
    patients = _patients(options.openkbp, options.split, 2 if options.quick else None)
    done = {(row.case, row.alteration) for row in _rows(options.out)}
    model = read_model(options.model)
    with options.out.open("a", encoding="utf-8") as file:
        for case, alteration, image in _images(patients, options, done):
            start = time.perf_counter()
            warnings = [(warning.name, warning.text) for warning in _warnings(image, model)]
            row = Row(case, alteration, warnings, round(time.perf_counter() - start, 2))
            file.write(json.dumps(asdict(row)) + "\n")
            file.flush()
    rows = [row for row in _rows(options.out) if row.alteration == OTHER or row.case in {p.id for p in patients}]
    figures = [] if options.as_they_are else [*_altered_figures(rows)]
    conclude([*figures, *_normal_figures(rows)], options)


def _options() -> argparse.ArgumentParser:
    assert __doc__ is not None
    parser = options_parser(__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--openkbp", type=Path, required=True, help="folder with index.csv and labels.json")
    parser.add_argument("--other", type=Path, nargs="*", default=[], help="folders of CTs of other regions")
    parser.add_argument("--split", default="val")
    parser.add_argument("--as-they-are", action="store_true", help="leave the alterations out")
    parser.add_argument("--out", type=Path, required=True, help="results, one JSON object a line")
    return parser


def _patients(folder: Path, split: str, most: int | None) -> list[Patient]:
    with (folder / "index.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split]
    return [Patient(row["id"], folder, tuple(row["annotated"].split("|"))) for row in rows[:most]]


def _images(
    patients: list[Patient], options: argparse.Namespace, done: set[tuple[str, str]]
) -> Iterator[tuple[str, str, Image]]:
    for patient in patients:
        if (patient.id, AS_IT_IS) not in done:
            yield patient.id, AS_IT_IS, patient.image()
        for name, alteration in () if options.as_they_are else ALTERATIONS.items():
            with_parotid = {"Parotid_L", "Parotid_R"} & set(patient.annotated)
            if (patient.id, name) not in done and (with_parotid or not name.startswith("cut")):
                yield patient.id, name, alteration.apply(patient.image(), patient.masks())
    for path in sorted(
        path for folder in options.other for path in folder.glob("*.nii.gz") if "organs" not in path.name
    ):
        if (path.name, OTHER) not in done:
            yield path.name, OTHER, read_nifti(path)


def _warnings(image: Image, model: Model) -> tuple[CtWarning, ...]:
    """What a prediction would say; where the image alone is enough nothing is predicted, which could only add to it."""
    of_image = image_warnings(image, model)
    if ENOUGH & {warning.name for warning in of_image}:
        return of_image
    return ct_warnings(image, predict_masks(model.network, model.plan, image), model)


def _rows(file: Path) -> list[Row]:
    if not file.exists():
        return []
    return [Row(**json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]


def _altered_figures(rows: list[Row]) -> Iterator[Figure]:
    """Of each alteration: how many CTs, how many got a warning that the patient's own CT did not, and which."""
    own = {row.case: row.subjects for row in rows if row.alteration == AS_IT_IS}
    print("| alteration | what | found | of | with |\n|---|---|---|---|---|")
    missed = total = 0
    for name, what in [*((n, a.what) for n, a in ALTERATIONS.items()), (OTHER, "CTs of chest, abdomen, legs")]:
        new = [row.subjects - own.get(row.case, set()) for row in rows if row.alteration == name]
        found = sum(map(bool, new))
        names = Counter(check for warnings in new for check in {check for check, _ in warnings})
        said = ", ".join(f"{check} {count}" for check, count in names.most_common())
        print(f"| {name} | {what} | {found} | {len(new)} | {said} |")
        if name == OTHER or ALTERATIONS[name].findable:
            missed, total = missed + len(new) - found, total + len(new)
    print(f"\nall that can be found: {total - missed} of {total}\n")
    yield Figure("altered CTs without a warning of their own", missed / max(1, total), MOST_MISSED)


def _normal_figures(rows: list[Row]) -> Iterator[Figure]:
    """Of the CTs as they are: how many got a warning, and which."""
    normal = [row for row in rows if row.alteration == AS_IT_IS]
    warned = [row for row in normal if row.warnings]
    print(f"CTs as they are: {len(warned)} of {len(normal)} with a warning")
    for row in warned:
        print(f"- {row.case}: {'; '.join(f'{name}: {text}' for name, text in row.warnings)}")
    yield Figure("CTs as they are with a warning", len(warned) / max(1, len(normal)), MOST_FALSE)


if __name__ == "__main__":
    main()
