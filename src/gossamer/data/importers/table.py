"""An index (CSV) of images and label maps, and what was drawn in each: the layout to bring own data in.

Columns: ``id, site, split, image, labelmap, annotated, complete``; files are relative to the index; ``annotated`` and
``complete`` are names joined by ``|``. What an optional column ``flags`` holds is kept with the case; others are
ignored. A second file names the values of the label maps: ``{"1": "Brainstem", ...}``.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gossamer.data.description import SPLITS, Split, require_safe_id
from gossamer.data.importers.label_map import LabelMapCase
from gossamer.data.importers.naming import standard_names
from gossamer.data.importers.source import LoadedCase, inside_image
from gossamer.errors import DatasetError, UnknownStructureError
from gossamer.words import reason

COLUMNS = ("id", "site", "split", "image", "labelmap", "annotated", "complete")

FLAGS = "flags"

_REMEDY = "correct the spelling, or name them in a file for --names"


@dataclass(frozen=True)
class TableCase(LabelMapCase):
    """A row of the index; ``labels`` are those of what was drawn.

    Attributes:
        complete: what is to be scored.
        notes: of the index.
    """

    complete: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def settings(self) -> Any:
        """What the index and the names say of it."""
        return self.labels, self.known_values, self.complete, self.notes

    def load(self) -> LoadedCase:
        """Read both files; see ``CaseSource.load``."""
        image, masks, notes = self.read()
        inside, outside = inside_image(masks, self.complete, self.id)
        return LoadedCase(self.sites[0], image, inside, self.complete, (*self.notes, *notes, *outside))


def table_cases(index: Path, labels: Path, names: Mapping[str, str]) -> tuple[list[TableCase], list[str]]:
    """The cases of an index.

    Args:
        index: CSV file.
        labels: JSON file, structure by value.
        names: standard names by own names, looked at before our table.

    Returns:
        The cases, and the columns that were ignored.

    Raises:
        DatasetError: a file cannot be read, a column is missing, or a row contradicts itself.
        UnknownStructureError: a name has no standard one.
    """
    value_of = _read_labels(labels, names)
    rows, columns = _read_index(index)
    cases = [_case(row, number, index.parent, value_of, names) for number, row in enumerate(rows, start=2)]
    return cases, [column for column in columns if column not in (*COLUMNS, FLAGS)]


def _case(
    row: Mapping[str, str], line: int, folder: Path, value_of: Mapping[str, int], names: Mapping[str, str]
) -> TableCase:
    require_safe_id(row["id"], f"index, line {line}, id")
    require_safe_id(row["site"], f"index, line {line}, site")
    where = f"index, line {line} (case {row['id']})"
    annotated, complete = (_listed(row[column], names, f"{where}, {column}") for column in ("annotated", "complete"))
    if unnamed := [name for name in annotated if name not in value_of]:
        raise DatasetError(
            f"{where}: wanted annotated structures that have a value; found {', '.join(unnamed)}, which has none; "
            "add it to the file of --labels"
        )
    return TableCase(
        id=row["id"],
        split=_split(row["split"], where),
        sites=(row["site"],),
        image=folder / row["image"],
        labelmap=folder / row["labelmap"],
        labels=tuple((name, (value_of[name],)) for name in annotated),
        complete=complete,
        known_values=tuple(value_of.values()),
        notes=(f"{FLAGS}: {row[FLAGS]}",) if row.get(FLAGS) else (),
    )


def _listed(text: str, names: Mapping[str, str], where: str) -> tuple[str, ...]:
    listed = [name.strip() for name in text.split("|") if name.strip()]
    try:
        return tuple(standard_names(listed, names, remedy=_REMEDY).values())
    except (DatasetError, UnknownStructureError) as error:
        raise type(error)(f"{where}: {error}") from error


def _split(text: str, where: str) -> Split:
    for split in SPLITS:
        if text == split:
            return split
    raise DatasetError(f"{where}: wanted split {', '.join(SPLITS)}; found {text!r}; correct the index")


def _read_index(index: Path) -> tuple[list[dict[str, str]], list[str]]:
    try:
        with index.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows, columns = list(reader), list(reader.fieldnames or ())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(
            f"index: wanted a CSV file in UTF-8; found one that cannot be read ({reason(error)}); "
            "give the right file, saved as CSV UTF-8"
        ) from error
    if missing := [column for column in COLUMNS if column not in columns]:
        raise DatasetError(
            f"index: wanted the columns {', '.join(COLUMNS)}; found none called {', '.join(missing)}; "
            "name them in the first line"
        )
    for line, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise DatasetError(
                f"index, line {line}: wanted {len(columns)} fields; found another number; look for commas too many or "
                "too few"
            )
    return rows, columns


def _read_labels(path: Path, names: Mapping[str, str]) -> dict[str, int]:
    """Values by standard name."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        named = [(str(name), int(value)) for value, name in raw.items() if int(value) != 0]
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise DatasetError(
            'labels: wanted JSON of structures by value, like {"1": "Brainstem"}; found something else; '
            "give the right file to --labels"
        ) from error
    value_of = dict(named)
    if len(value_of) < len(named):
        twice = sorted({name for name, value in named if value != value_of[name]})
        raise DatasetError(
            f"labels: wanted one value a structure; found several of {', '.join(twice)}; join them in the label maps"
        )
    try:
        return {name: value_of[own] for own, name in standard_names(value_of, names, remedy=_REMEDY).items()}
    except (DatasetError, UnknownStructureError) as error:
        raise type(error)(f"labels: {error}") from error
