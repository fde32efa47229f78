"""``cases.csv``: one row per (set, arm, schedule, seed, patient, organ), and the means over its patients.

Law: a row stands for a patient in whom the organ is *complete*; an organ that was not drawn has no row, an organ
that was missed has a DSC of 0. Numbers are written so that reading gives the same bits.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from gossamer.atomic import write_atomically
from gossamer.errors import StorageError
from gossamer.evaluate.score import mean_of
from gossamer.study.results import CASE_COLUMNS, OrganScore, SiteScore

VALIDATION_SET = "val"


@dataclass(frozen=True)
class CaseScore:
    """One organ of one patient under one run; the fields are the columns of ``cases.csv``, in their order.

    Attributes:
        set: ``val``, or the name of a locked set.
        site: whose patient it is; the model scored is this site's own.
        case: the dataset's own identifier.
        dsc: Dice similarity coefficient; nan (an empty field) where the reference holds no voxel.
        surface_dsc: at the organ's tolerance; nan likewise.
        hd95_mm: nan where reference or prediction holds no voxel.
    """

    set: str
    arm: str
    schedule: str
    seed: int
    site: str
    case: str
    organ: str
    dsc: float
    surface_dsc: float
    hd95_mm: float
    reference_voxels: int
    predicted_voxels: int

    @property
    def key(self) -> tuple[str, str, str, int, str, str, str]:
        """What no two rows of a file share."""
        return self.set, self.arm, self.schedule, self.seed, self.site, self.case, self.organ

    @property
    def missed(self) -> bool:
        """Whether the organ is drawn and nothing was predicted."""
        return self.reference_voxels > 0 and self.predicted_voxels == 0


def read_cases(path: Path) -> tuple[CaseScore, ...]:
    """Read ``cases.csv``.

    Raises:
        StorageError: the file is absent, or is not what :func:`write_cases` writes.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = csv.reader(file)
            header = tuple(next(lines, ()))
            if header != CASE_COLUMNS:
                raise StorageError(
                    f"wanted the columns {', '.join(CASE_COLUMNS)}; found {', '.join(header) or 'none'}, in "
                    f"{path.name}; run the study again, which writes it anew"
                )
            return tuple(_parse(line, path.name, lines.line_num) for line in lines)
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(
            f"wanted the scores of the study; found no readable {path.name} in its folder; run the study first"
        ) from error


def write_cases(path: Path, rows: Iterable[CaseScore]) -> None:
    """Write ``cases.csv`` atomically.

    Raises:
        StorageError: the file cannot be written (``DiskFullError`` where there is no room).
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CASE_COLUMNS)
    # csv writes a float as the shortest text that reads back as the same number.
    writer.writerows([_text(value) for value in astuple(row)] for row in rows)
    write_atomically(path, text.getvalue())


def append_cases(path: Path, rows: Sequence[CaseScore]) -> None:
    """Add rows to ``cases.csv`` atomically; a row already there under the same key is replaced.

    So a run that is scored again after an interruption counts once.

    Raises:
        StorageError: as for :func:`read_cases` and :func:`write_cases`.
    """
    merged = {row.key: row for row in (read_cases(path) if path.exists() else ())}
    merged.update((row.key, row) for row in rows)
    write_cases(path, merged.values())


def summarise(
    rows: Iterable[CaseScore], *, structures: Sequence[str], models: Mapping[str, str]
) -> tuple[SiteScore, ...]:
    """Mean scores of one run, by site and organ.

    Args:
        rows: of one set, arm, schedule and seed.
        structures: the organs to report, in this order.
        models: the file of each site's model, by site; its order is the order of the result.
    """
    by_place: dict[tuple[str, str], list[CaseScore]] = {}
    for row in rows:
        by_place.setdefault((row.site, row.organ), []).append(row)
    return tuple(
        SiteScore(
            site=site,
            model=model,
            organs=tuple(_organ_score(organ, by_place.get((site, organ), ())) for organ in structures),
        )
        for site, model in models.items()
    )


def _organ_score(organ: str, rows: Sequence[CaseScore]) -> OrganScore:
    drawn = [row for row in rows if row.reference_voxels > 0]
    return OrganScore(
        organ=organ,
        patients=len(drawn),
        dsc=mean_of(row.dsc for row in drawn),
        surface_dsc=mean_of(row.surface_dsc for row in drawn),
        hd95_mm=mean_of(row.hd95_mm for row in drawn),
        missed=sum(row.missed for row in drawn),
    )


def _parse(line: list[str], name: str, number: int) -> CaseScore:
    try:
        set_, arm, schedule, seed, site, case, organ, dsc, surface_dsc, hd95_mm, reference, predicted = line
        return CaseScore(
            set=set_,
            arm=arm,
            schedule=schedule,
            seed=int(seed),
            site=site,
            case=case,
            organ=organ,
            dsc=_number(dsc),
            surface_dsc=_number(surface_dsc),
            hd95_mm=_number(hd95_mm),
            reference_voxels=int(reference),
            predicted_voxels=int(predicted),
        )
    except ValueError as error:
        raise StorageError(
            f"wanted {len(CASE_COLUMNS)} fields with numbers where numbers belong; found: {error}, in line {number} "
            f"of {name}; run the study again, which writes it anew"
        ) from error


def _text(value: object) -> object:
    return "" if isinstance(value, float) and math.isnan(value) else value


def _number(text: str) -> float:
    return float(text) if text else math.nan
