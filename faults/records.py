"""Results on the disk, and the page that is made of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from faults.campaign import Campaign, Result
from gossamer.atomic import write_atomically

PAGE = """# Faults

What a site promises when things go wrong, and what came of trying to break it. `make faults` does all of it again, or
`python -m faults NAME --full` one of it; the same code runs in the test suite, smaller. That command writes this page.

| promise | what was done | found | size |
|---|---|---|---:|
"""


@dataclass(frozen=True)
class Record:
    """One campaign that was run.

    Attributes:
        name: of the campaign.
        size: how often.
        seed: that it drew from.
        took_s: on that machine.
        result: what came of it.
    """

    name: str
    size: int
    seed: int
    took_s: float
    result: Result

    def line(self, campaign: Campaign) -> str:
        """For people, while they wait."""
        verdict = "" if self.result.holds else "BROKEN: "
        return f"{campaign.promise}: {verdict}{self.result.figure}; {self.took_s:.0f} s"


def write_record(folder: Path, record: Record) -> None:
    """Keep it."""
    folder.mkdir(parents=True, exist_ok=True)
    plain = asdict(record) | {"result": asdict(replace(record.result, counts=dict(record.result.counts)))}
    write_atomically(_path(folder, record.name, record.size, record.seed), json.dumps(plain, indent=1) + "\n")


def read_record(folder: Path, name: str, size: int, seed: int) -> Record | None:
    """The one of this size and seed; None if there is none."""
    path = _path(folder, name, size, seed)
    return _read(path) if path.exists() else None


def largest_record(folder: Path, name: str) -> Record | None:
    """Of a campaign's results the one of the largest size; None if there is none."""
    records = [_read(path) for path in sorted(folder.glob(f"{name}-*-*.json"))]
    return max((each for each in records if each.name == name), key=lambda each: each.size, default=None)


def page_of(told: Iterable[tuple[Campaign, Record | str]]) -> str:
    """Markdown: of each campaign its record, or why there is none."""
    rows = []
    for campaign, record in told:
        outcome = (record, "") if isinstance(record, str) else _outcome(record)
        cells = (each.replace("|", "\\|") for each in (campaign.promise, campaign.what, *outcome))
        rows.append(f"| {' | '.join(cells)} |\n")
    return PAGE + "".join(rows)


def _read(path: Path) -> Record:
    plain = json.loads(path.read_text())
    return Record(**plain | {"result": Result(**plain["result"])})


def _outcome(record: Record) -> tuple[str, str]:
    """What was found, and how often it was done."""
    result = record.result
    return result.figure if result.holds else f"**broken**: {result.figure}", f"{result.done or record.size:,}"


def _path(folder: Path, name: str, size: int, seed: int) -> Path:
    return folder / f"{name}-{size}-{seed}.json"
