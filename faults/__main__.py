"""The runner: python -m faults [NAMES] [--full] [--again] [--seed 0] [--size N] [--kept] [--list] [--report FILE]."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

from faults.campaign import Campaign
from faults.records import Record, largest_record, page_of, read_record, write_record
from faults.registry import campaigns

RECORDS = Path(__file__).parents[1] / "runs" / "faults"


def main() -> None:
    """Run what is asked for; exit status 1 where a promise is broken."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that no process or mount is left behind
    known = campaigns()
    options = _options(list(known))
    chosen = [known[name] for name in options.names or known]
    if options.list:
        for each in chosen:
            print(f"{each.name:16} {each.small:>8,} {each.full:>8,}  {each.promise}")
        return
    told = [(campaign, _told(campaign, options)) for campaign in chosen]
    if options.report:
        options.report.write_text(page_of(told), encoding="utf-8")
    if broken := [each.name for each, record in told if isinstance(record, Record) and not record.result.holds]:
        sys.exit(f"broken: {', '.join(broken)}")


def _options(names: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*names, []], metavar="NAMES", help=f"of {', '.join(names)}")
    parser.add_argument("--full", action="store_true", help="the full size; small otherwise")
    parser.add_argument("--size", type=int, help="another size")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--again", action="store_true", help="also what has a result already")
    parser.add_argument("--kept", action="store_true", help="run nothing: of each the result of the largest size")
    parser.add_argument("--list", action="store_true", help="names with their two sizes, and no more")
    parser.add_argument("--report", type=Path, help="write a page of the results")
    return parser.parse_args()


def _told(campaign: Campaign, options: argparse.Namespace) -> Record | str:
    """Its record, of before or of now; or why there is none."""
    size = options.size or (campaign.full if options.full else campaign.small)
    record = None if options.again else read_record(RECORDS, campaign.name, size, options.seed)
    if options.kept:
        record = largest_record(RECORDS, campaign.name)
    if record is None:
        if options.kept:
            return "not tried yet"
        if (lack := campaign.missing()) is not None:
            print(f"{campaign.promise}: not tried: {lack}", flush=True)
            return f"not tried: {lack}"
        record = _run(campaign, size, options.seed)
        write_record(RECORDS, record)
    print(record.line(campaign), flush=True)
    return record


def _run(campaign: Campaign, size: int, seed: int) -> Record:
    with tempfile.TemporaryDirectory(prefix=f"{campaign.name}-") as folder:
        began_s = time.monotonic()
        result = campaign.run(size, seed, Path(folder))
        return Record(campaign.name, size, seed, time.monotonic() - began_s, result)


if __name__ == "__main__":
    main()
