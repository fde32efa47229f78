"""Three hospitals that rehearse on loopback, with cubes for patients, and a narrow way between two of them."""

import asyncio
import shutil
from contextlib import asynccontextmanager, suppress
from functools import partial

import numpy as np
import pytest
from faults.ports import own_address

from gossamer.data.frame import Frame
from gossamer.data.image import Image
from gossamer.data.phantom import Patient
from gossamer.runtime.card import read_card
from gossamer.runtime.federation_file import add_site, read_federation
from gossamer.runtime.rehearsal import Rehearsal, patients, run
from gossamer.runtime.site_folder import CARD, SETTINGS, SiteFolder, SiteSettings, init_site
from gossamer.watch import Unwatched

FEDERATION = """
title = "Three that rehearse"
structures = ["Kidney_L", "Kidney_R", "Prostate"]
rounds = 10
local_steps = 20
seed = 1

[plan]
channels = [4, 8]
patch_size = [16, 16, 16]
spacing_mm = [2.0, 2.0, 2.0]
position_channels = false

[recipe]
threads = 1
precision = "32-true"
"""

ORDER = "BAC"
"""Of the site ids: who comes first dials."""


def cube(_region, _hospital, seed):
    """A patient that costs nothing to draw."""
    voxels = np.random.default_rng(seed).integers(-100, 100, (16, 18, 20)).astype(np.int16)
    masks = {name: np.zeros(voxels.shape, dtype=bool) for name in ("Brainstem", "SpinalCord")}
    masks["Brainstem"][4:9, 4:9, 4:9] = masks["SpinalCord"][9:12, 9:12, 2:18] = True
    return Patient(Image(voxels, Frame.canonical(voxels.shape, (2, 2, 2), (0, 0, 0))), masks, tuple(masks), ())


@pytest.fixture
def _quick(monkeypatch):
    """Cubes, disks that nobody cuts the power of, and waits that suit this machine."""
    for name in ("grpc_proxy", "https_proxy", "http_proxy", "no_proxy", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr("os.fsync", lambda _descriptor: None)
    monkeypatch.setattr(patients, "draw_patient", cube)
    monkeypatch.setattr("gossamer.node.patience.LEAST_S", 1.0)
    monkeypatch.setattr("gossamer.transport.mailbox_line.LOOK_S", (0.02, 0.2))
    monkeypatch.setattr(run, "FAREWELL_S", 5.0)
    monkeypatch.setattr(run, "LAST_WORD_S", 0.5)


@pytest.fixture
def _a_line_stays_down(monkeypatch, _quick):
    """And is not waited for long; of the others all has gone before this wait begins."""
    monkeypatch.setattr(run, "LINES_S", 1.5)


class Federation:
    """A federation file, and its sites' folders."""

    def __init__(self, folder, data="no data"):
        self.folder, self.file, self._data = folder, folder / "FED.toml", data
        self.listens = {name: own_address(f"127.0.0.{at}") for at, name in enumerate("ABC", start=1)}

    def found(self, addresses=None, more=""):
        """Make the sites, and have all approve one file.

        Args:
            addresses: where others are told to find a site; None for one that only dials out.
            more: lines of every site.toml.
        """
        self.file.write_text(FEDERATION)
        known = self.listens | (addresses or {})
        ids = []
        for name in ORDER:
            listens = {"listen": self.listens[name], "address": known[name]} if known[name] else {}
            at = f"127.0.0.{'ABC'.index(name) + 1}"
            data = str(self._data / name) if self._data != "no data" else "nowhere"
            settings = SiteSettings(name=name, data=data, status=own_address(at), threads=1, **listens)
            while (site := init_site(self.folder / name, settings)) and ids and site.identity.site_id < ids[-1]:
                shutil.rmtree(site.path)
            with (site.path / SETTINGS).open("a") as lines:
                lines.write(more)
            ids.append(site.identity.site_id)
        for name in "ABC":
            add_site(self.file, read_card(self.folder / name / CARD))
        self.approve()
        return self

    def approve(self, names="ABC"):
        for name in names:
            self.site(name).approve(self.read())

    def read(self):
        return read_federation(self.file)

    def site(self, name):
        return SiteFolder(self.folder / name)

    def rehearsal(self, name, *, watch=None, wait_s=60.0):
        return Rehearsal(self.site(name), self.read(), watch or Unwatched(), wait_s=wait_s)

    async def all_rehearse(self, names="ABC", **options):
        return await self.run_together(*(self.rehearsal(name, **options) for name in names))

    @staticmethod
    async def run_together(*rehearsals):
        """They turn up at the same time, however long each has timed its machine before."""
        all_are_there = asyncio.Barrier(len(rehearsals))
        for each in rehearsals:
            each._turn_up = partial(_turn_up_with, all_are_there, each._turn_up)
        async with asyncio.timeout(240):
            return await asyncio.gather(*(each.run() for each in rehearsals))

    def reports(self, names="ABC", **options):
        """What each of these sites ends with, by name."""
        return dict(zip(names, asyncio.run(self.all_rehearse(names, **options)), strict=True))


async def _turn_up_with(others, turn_up, hearing):
    await others.wait()
    await turn_up(hearing)


@pytest.fixture
def federation(tmp_path, _quick):
    return Federation(tmp_path)


@pytest.fixture
def federation_with_data(tmp_path, toy_home, _quick):
    return Federation(tmp_path, toy_home / "data")


@asynccontextmanager
async def throttled(door, target, bytes_per_s):
    """A way to a site's door that lets so many bytes through in each direction."""

    async def pass_on(reader, writer):
        with suppress(ConnectionError):
            while data := await reader.read(2048):
                await asyncio.sleep(len(data) / bytes_per_s)
                writer.write(data)
                await writer.drain()
        writer.close()

    meeting = set()

    async def meet(reader, writer):
        meeting.add(asyncio.current_task())
        host, _, port = target.rpartition(":")
        there, back = await asyncio.open_connection(host, int(port))
        try:
            await asyncio.gather(pass_on(reader, back), pass_on(there, writer))
        finally:
            back.close()
            writer.close()

    host, _, port = door.rpartition(":")
    async with await asyncio.start_server(meet, host, int(port), limit=4096):
        yield
        for task in meeting:
            task.cancel()
        await asyncio.gather(*meeting, return_exceptions=True)


@pytest.fixture
def narrow():
    return throttled
