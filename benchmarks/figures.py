"""What every benchmark ends with: figures beside their limits, as a table, as JSON, and as the exit status."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    """One measured number.

    Attributes:
        what: in words; a ratio unless it has a unit.
        found: the measured number.
        limit: the highest it may be.
        unit: of both; none for a ratio.
    """

    what: str
    found: float
    limit: float
    unit: str = ""

    @property
    def holds(self) -> bool:
        """Whether the limit is kept."""
        return self.found <= self.limit


def options_parser(description: str) -> argparse.ArgumentParser:
    """The options that all benchmarks know."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small size, and no limits: does it run at all?")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    parser.add_argument("--threads", type=int, default=2, help="of PyTorch")
    return parser


def conclude(figures: Sequence[Figure], options: argparse.Namespace) -> None:
    """Print a Markdown table and write the JSON; exit status 1 where a limit is exceeded, unless it was quick."""
    print("\n| figure | found | limit | |\n|---|---:|---:|---|")
    for figure in figures:
        print(_row(figure, "not judged" if options.quick else "holds" if figure.holds else "**exceeded**"))
    if options.json:
        options.json.write_text(json.dumps([asdict(figure) for figure in figures], indent=1) + "\n")
    if not options.quick and not all(figure.holds for figure in figures):
        sys.exit("a limit is exceeded")


def _row(figure: Figure, verdict: str) -> str:
    found, limit = (f"{number:.2f} {figure.unit}".rstrip() for number in (figure.found, figure.limit))
    return f"| {figure.what} | {found} | {limit} | {verdict} |"
