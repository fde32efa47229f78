"""All benchmarks, one after the other, each in a process of its own; at the end one Markdown table of all figures.

Run: python -m benchmarks [--quick] [--json FILE] [--threads 2]
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import version
from os import cpu_count
from pathlib import Path

from benchmarks.figures import Figure, conclude, options_parser

BENCHMARKS = ("gossip_round", "start_up", "prediction", "exchange", "dicom_import")
REPOSITORY = Path(__file__).parents[1]


def main() -> None:
    """Run all; exit status 1 where a limit is exceeded."""
    options = options_parser(__doc__).parse_args()
    settings = ["--threads", str(options.threads), *(["--quick"] if options.quick else [])]
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in BENCHMARKS:
            print(f"## {name}\n", flush=True)  # before the child prints
            figures += figures_of(name, settings, Path(folder) / f"{name}.json")
            print()
    print("## All figures\n")
    print(f"Python {platform.python_version()}, PyTorch {version('torch')}, {platform.machine()}, ", end="")
    print(f"threads: {options.threads} of {cpu_count()} cores" + ", small sizes" * options.quick)
    conclude(figures, options)


def figures_of(name: str, settings: list[str], file: Path) -> list[Figure]:
    """Run one benchmark and read its figures; an exceeded limit does not keep the others from running."""
    command = [sys.executable, "-m", f"benchmarks.{name}", "--json", str(file), *settings]
    status = subprocess.run(command, cwd=REPOSITORY, check=False).returncode
    if not file.exists():
        sys.exit(f"{name} ended with status {status} before it had its figures")
    return [Figure(**figure) for figure in json.loads(file.read_text())]


if __name__ == "__main__":
    main()
