"""Small hospitals with all that a site has: patients of a few cubes, a folder, an approved federation, lines.

What runs is ``gossamer site run`` itself, in this process or in one of its own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from faults.ports import own_address
from faults.processes import SITE, begin
from gossamer.data.dataset import DatasetWriter
from gossamer.data.description import Split
from gossamer.data.frame import Frame
from gossamer.data.image import Image
from gossamer.gossip.choices import Pace
from gossamer.runtime.card import read_card
from gossamer.runtime.federation_file import Federation, add_site, read_federation
from gossamer.runtime.site_folder import CARD, SiteFolder, SiteSettings, init_site
from gossamer.runtime.site_run import SiteRun
from gossamer.watch import Unwatched, Watch

STRUCTURES = ("Kidney_L", "Kidney_R")
SHAPE = (16, 18, 20)
PATIENTS: Mapping[Split, int] = {"train": 2, "val": 1}

FEDERATION = """
title = "Toy hospitals"
structures = ["Kidney_L", "Kidney_R"]
rounds = {rounds}
local_steps = 2
pace = "{pace}"
seed = 1
"""

PLAN_AND_RECIPE = """
[plan]
channels = [4, 8]
patch_size = [16, 16, 16]
spacing_mm = [2.0, 2.0, 2.0]
position_channels = false

[recipe]
learning_rate = 1e-2
threads = 1
precision = "32-true"
"""
"""Of a study or a federation; a network that trains in a second."""

COMMAND = """
import os, sys
for file, descriptor in zip(WORDS[:2], (1, 2)):
    os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
sys.argv = ["gossamer", *WORDS[2:]]
from gossamer.cli.main import main
main()
"""


def draw_patient(seed: Sequence[int]) -> tuple[Image, dict[str, np.ndarray[Any, Any]]]:
    """Noise with a bright ball and a dim box."""
    rng = np.random.default_rng(seed)
    z, y, x = np.indices(SHAPE)
    ball = (z - rng.integers(6, 10)) ** 2 + (y - rng.integers(6, 12)) ** 2 + (x - 14) ** 2 < 14
    box = (abs(z - rng.integers(5, 11)) < 4) & (abs(y - 9) < 4) & (x >= 3) & (x < 8)
    hu = np.rint(rng.normal(0, 20, SHAPE) + 150 * ball - 120 * box).astype(np.int16)
    return Image(hu, Frame.canonical(SHAPE, (2.0, 2.0, 2.0), (0.0, 0.0, 0.0))), {"Kidney_L": ball, "Kidney_R": box}


def write_patients(folder: Path, site: str, patients: Mapping[Split, int] = PATIENTS) -> None:
    """A site's dataset."""
    writer = DatasetWriter(folder, site)
    for split, count in patients.items():
        for number in range(count):
            image, masks = draw_patient([ord(site), len(split), number])
            writer.add(f"{site}-{split}-{number}", split, image, masks)
    writer.finish()


class Hospitals:
    """A federation file, and the folders of its sites, which have approved it."""

    def __init__(
        self,
        folder: Path,
        names: str = "ABC",
        *,
        rounds: int = 2,
        pace: Pace = "lockstep",
        joins_later: str = "",
        reached_at: Mapping[str, str] | None = None,
        data: Mapping[str, Path] | None = None,
        workers: int = 0,
    ) -> None:
        """Make them all.

        Args:
            folder: where.
            names: of the sites, a letter each.
            rounds: R.
            pace: of the nodes.
            joins_later: sites that nobody waits for.
            reached_at: by site, where its peers find it, if not where it listens: at a proxy.
            data: by site, its dataset, if it shall have none of a few cubes.
            workers: processes a site that make patches.
        """
        self.folder, self.names, self.file = folder, names, folder / "FED.toml"
        folder.mkdir(parents=True, exist_ok=True)
        self.file.write_text(FEDERATION.format(rounds=rounds, pace=pace) + PLAN_AND_RECIPE + f"workers = {workers}\n")
        self.listens = {name: own_address(f"127.0.0.{at}") for at, name in enumerate(names, start=1)}
        for at, name in enumerate(names, start=1):
            if data is None:
                write_patients(folder / "data" / name, name)
            place = folder / "data" / name if data is None else data[name]
            reached = (reached_at or {}).get(name, self.listens[name])
            settings = SiteSettings(
                name=name,
                data=str(place),
                listen=self.listens[name],
                address=reached,
                status=own_address(f"127.0.0.{at}"),
            )
            init_site(folder / name, settings)
            add_site(self.file, read_card(folder / name / CARD))
        for name in joins_later:
            line = f'[[sites]]\nname = "{name}"'
            self.file.write_text(self.file.read_text().replace(line, f"{line}\njoins_later = true"))
        for name in names:
            self.site(name).approve(self.federation)

    @property
    def federation(self) -> Federation:
        """The file, read."""
        return read_federation(self.file)

    def site(self, name: str) -> SiteFolder:
        """A site's folder."""
        return SiteFolder(self.folder / name)

    def run_of(self, name: str, watch: Watch | None = None) -> SiteRun:
        """A site's run, not begun."""
        return SiteRun(self.site(name), self.federation, watch or Unwatched())

    def start(self, name: str) -> Command:
        """``gossamer site run`` of a site, in a process of its own."""
        return Command(self.folder / name, "site", "run", self.file, "--folder", self.folder / name)


class Command:
    """A ``gossamer`` command in a process that finds PyTorch imported."""

    def __init__(self, folder: Path, *words: object) -> None:
        """Begin; what it says goes to files in ``folder``."""
        self._out, self._err = folder / "stdout.txt", folder / "stderr.txt"
        given = [str(word) for word in (self._out, self._err, *words)]
        self._process = begin(exec, f"WORDS = {given!r}\n{COMMAND}", imported=SITE)

    @property
    def out(self) -> str:
        """What it said on stdout."""
        return self._out.read_text() if self._out.exists() else ""

    @property
    def err(self) -> str:
        """What it said on stderr."""
        return self._err.read_text() if self._err.exists() else ""

    @property
    def process_id(self) -> int:
        """Of its process."""
        return int(self._process.pid)

    def signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.process_id, number)

    def wait(self, seconds: float) -> int | None:
        """Its exit status; None if it goes on."""
        self._process.join(seconds)
        status = self._process.exitcode
        return None if status is None else int(status)

    def end(self) -> None:
        """No process is left."""
        self._process.kill()
        self._process.join()


@contextmanager
def ended(*commands: Command) -> Iterator[None]:
    """No process of these is left behind."""
    try:
        yield
    finally:
        for command in commands:
            command.end()


def wait_until(condition: Any, seconds: float, pause_s: float = 0.02) -> bool:
    """Whether something came to be so in time."""
    until_s = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until_s:
            return False
        time.sleep(pause_s)
    return True
