"""What is proposed for names as hospitals write them: right, wrong, or nothing.

The lists are yours: a line for each structure, ``Parotid_L: Lt parotid; PAROTIDE G``, and ``-`` before the colon where
the names are of no organ at risk (targets, margins, parts, helpers), so that nothing should be proposed. A name counts
once, whatever its case.

Run: python -m benchmarks.names FILE [FILE ...] [--each]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import Figure, conclude, options_parser
from gossamer.data.labels import require_standard_name
from gossamer.data.proposals import propose

NO_ORGAN = "-"

MOST_WRONG = 0.0
"""A person looks at each proposal; one that is wrong and looks right is learned from."""


def main() -> None:
    """Print a table of the lists; exit status 1 where a proposal is wrong."""
    options = _options().parse_args()
    print("| list | of organs: right | wrong | none | of no organs: none | wrong |\n|---|---|---|---|---|---|")
    wrong = total = 0
    for file in options.files:
        outcomes = {name: _outcome(wanted, propose(name).standard) for name, wanted in _names(file)}
        counts = [list(outcomes.values()).count(outcome) for outcome in OUTCOMES]
        print(f"| {file.stem} | {' | '.join(map(str, counts))} |")
        if options.each:
            print("\n".join(f"- {outcome}: {name!r}" for name, outcome in outcomes.items() if "right" not in outcome))
        total += len(outcomes)
        wrong += sum("wrong" in outcome for outcome in outcomes.values())
    conclude([Figure("names with a wrong proposal", wrong / max(1, total), MOST_WRONG)], options)


OUTCOMES = ("organ, right", "organ, wrong", "organ, none", "no organ, right", "no organ, wrong")


def _options() -> argparse.ArgumentParser:
    assert __doc__ is not None
    parser = options_parser(__doc__)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--each", action="store_true", help="print each name without the right proposal")
    return parser


def _names(file: Path) -> Iterator[tuple[str, str]]:
    """Names with what they mean, each once."""
    seen = set[str]()
    for line in file.read_text(encoding="utf-8").splitlines():
        wanted, _, names = line.partition(": ")
        if wanted != NO_ORGAN:
            require_standard_name(wanted, file.name)
        for name in filter(None, map(str.strip, names.split(";"))):
            if name.casefold() not in seen:
                seen.add(name.casefold())
                yield name, wanted


def _outcome(wanted: str, proposed: str | None) -> str:
    what = "no organ" if wanted == NO_ORGAN else "organ"
    if (proposed or NO_ORGAN) == wanted:
        return f"{what}, right"
    return f"{what}, none" if proposed is None else f"{what}, wrong"


if __name__ == "__main__":
    main()
