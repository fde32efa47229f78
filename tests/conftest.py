"""A whole study, tiny: three hospitals of a few cubes each, for the tests of the study runner and of its commands."""

import multiprocessing
import os
import shutil
import time
from contextlib import suppress
from types import SimpleNamespace

import numpy as np
import pytest

STUDY_TOML = """
title = "Three toy hospitals"
datasets = ["data/A", "data/B", "data/C"]
structures = ["Kidney_L", "Kidney_R", "Prostate"]
seeds = [0, 1]
steps = 20
validations = 2

[plan]
channels = [4, 8]
patch_size = [16, 16, 16]
spacing_mm = [2.0, 2.0, 2.0]
position_channels = false

[recipe]
learning_rate = 1e-2
threads = 1
precision = "32-true"

[arms.local-only]
kind = "local-only"
schedules = [{}]

[arms.pooled]
kind = "pooled"
schedules = [{}, { batch_size = 3 }]

[arms.fedavg]
kind = "federated"
algorithm = "fedavg"
schedules = [{ local_steps = 5 }]

[arms.gossip]
kind = "federated"
schedules = [{ local_steps = 5 }, { local_steps = 10 }]
"""

PATIENTS = {"A": {"train": 2, "val": 2, "test": 1}, "B": {"train": 2, "val": 1, "test": 1}, "C": {"train": 1, "val": 1}}


def write_toy_site(folder, site, patients, *, public=True, first=0):
    """Cubes with a bright ball, a dim box, and a speck of three voxels that nothing can learn; C draws no box."""
    from gossamer.data.dataset import DatasetWriter
    from gossamer.data.frame import Frame
    from gossamer.data.image import Image

    writer = DatasetWriter(folder, site, public=public)
    for split, count in patients.items():
        for number in range(first, first + count):
            rng = np.random.default_rng([ord(site), len(split), number])
            shape = (16, 18, 20)
            z, y, x = np.indices(shape)
            ball = (z - rng.integers(6, 10)) ** 2 + (y - rng.integers(6, 12)) ** 2 + (x - 14) ** 2 < 14
            box = (abs(z - rng.integers(5, 11)) < 4) & (abs(y - 9) < 4) & (x >= 3) & (x < 8)
            speck = (z == 8) & (y == 9) & (abs(x - 10) < 2)
            hu = np.rint(rng.normal(0, 20, shape) + 150 * ball - 120 * box).astype(np.int16)
            masks = {"Kidney_L": ball, "Kidney_R": box, "Prostate": speck}
            if site == "C":
                del masks["Kidney_R"]
            image = Image(hu, Frame.canonical(shape, (2.0, 2.0, 2.0), (0.0, 0.0, 0.0)))
            writer.add(f"{site}-{split}-{number}", split, image, masks, made_from=f"{site} {split} {number}")
    return writer.finish()


@pytest.fixture(scope="session")
def toy_home(tmp_path_factory):
    """A folder with the study file and its datasets; not to be written to."""
    home = tmp_path_factory.mktemp("toy-study")
    for site, patients in PATIENTS.items():
        write_toy_site(home / "data" / site, site, patients)
    (home / "study.toml").write_text(STUDY_TOML)
    return home


@pytest.fixture
def own_home(toy_home, tmp_path):
    """The same, to be written to."""
    return shutil.copytree(toy_home, tmp_path / "home")


@pytest.fixture(scope="session")
def toy_settings(toy_home):
    """The study file, read."""
    from gossamer.study.config import read_study

    return read_study(toy_home / "study.toml")


class Witness:
    """A ``Watch`` that remembers."""

    def __init__(self):
        self.said = []
        self.tasks = []

    def say(self, text):
        self.said.append(text)

    def task(self, what, total):
        task = Tally(what, total)
        self.tasks.append(task)
        return task


class Tally:
    """A ``Task`` that counts."""

    def __init__(self, what, total):
        self.what, self.total = what, total
        self.done = self.skipped = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def advance(self, steps, note=""):
        self.done += steps

    def skip(self, steps):
        self.skipped += steps


@pytest.fixture
def witness():
    return Witness()


@pytest.fixture(scope="session")
def finished_study(toy_home, toy_settings, tmp_path_factory):
    """The toy study run to its end without a break; not to be written to."""
    from gossamer.study import comparison
    from gossamer.study.run import run_study

    folder = tmp_path_factory.mktemp("finished") / "out"
    watch = Witness()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparison, "RESAMPLES", 200)
        patch.setattr(comparison, "PART_RESAMPLES", 100)
        patch.setattr("os.fsync", lambda _descriptor: None)
        results = run_study(toy_settings, home=toy_home, folder=folder, watch=watch, pictures=True)
    return SimpleNamespace(folder=folder, results=results, watch=watch)


@pytest.fixture
def own_finished(finished_study, tmp_path):
    """The finished study's folder, to be written to."""
    return shutil.copytree(finished_study.folder, tmp_path / "finished")


_COMMAND = """
import os, signal, sys
from gossamer.parent import end_with_parent
end_with_parent()
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background of a shell
for file, descriptor in zip(WORDS[:2], (1, 2)):
    os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
from gossamer.study import comparison
comparison.RESAMPLES, comparison.PART_RESAMPLES = 200, 100
sys.argv = ["gossamer", *WORDS[2:]]
from gossamer.cli.main import main
main()
"""


class Command:
    """The command line in a process of its own."""

    def __init__(self, context, folder, arguments):
        self._out, self._err = folder / "stdout", folder / "stderr"
        for file in (self._out, self._err):
            file.write_text("")
        words = [str(word) for word in (self._out, self._err, *arguments)]
        self._process = context.Process(target=exec, args=(f"WORDS = {words!r}\n{_COMMAND}",))
        self._process.start()

    @property
    def out(self):
        """What it said on stdout."""
        return self._out.read_text()

    @property
    def err(self):
        """What it said on stderr."""
        return self._err.read_text()

    def wait(self):
        """Its exit status; minus a signal's number if one ended it."""
        self._process.join(timeout=600)
        return self._process.exitcode

    def wait_for(self, it_is_time):
        """Until something is so; False if the process ends before."""
        while not it_is_time():
            if not self._process.is_alive():
                return False
            time.sleep(0.002)
        return True

    def signal(self, number):
        """Its exit status after the signal."""
        with suppress(ProcessLookupError):  # it has just ended by itself
            os.kill(self._process.pid, number)
        return self.wait()


@pytest.fixture(scope="session")
def processes():
    """Starts processes that find PyTorch imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["gossamer.study.run", "gossamer.cli.main"])
    return context


@pytest.fixture
def gossamer(processes, tmp_path):
    """Starts the command line in a process of its own."""
    return lambda *arguments: Command(processes, tmp_path, arguments)


@pytest.fixture
def quick_intervals(monkeypatch):
    """Intervals to two digits, so that a table is printed in tenths of a second."""
    from gossamer.study import comparison

    monkeypatch.setattr(comparison, "RESAMPLES", 200)
    monkeypatch.setattr(comparison, "PART_RESAMPLES", 100)


@pytest.fixture
def lying_patient():
    """A head and neck of 100 x 200 x 300 mm in air, at 5 mm, and its organs: alike left and right, spine behind."""
    from gossamer.data.frame import Frame
    from gossamer.data.image import Image

    z, y, x = np.indices((20, 40, 60))
    round_ = ((y - 20) / (14 - 0.3 * z)) ** 2 + ((x - 29.5) / (24 - 0.6 * z)) ** 2
    hu = np.full(z.shape, -1000.0)
    hu[round_ < 1] = -100
    hu[round_ < 0.8] = 50
    hu[(abs(y - 11) < 4) & (abs(x - 29.5) < 5) & (z >= 4) & (z < 10)] = 700
    hu[(abs(y - 18) < 2) & (abs(x - 29.5) < 3)] = -1000
    hu[(abs(y - 26) < 4) & (abs(x - 29.5) < 4)] = 500
    hu += np.random.default_rng(0).normal(0, 10, z.shape)
    boxes = {  # z, y, x; 0.125 ml a voxel
        "Brainstem": np.s_[11:19, 22:27, 27:32],
        "SpinalCord": np.s_[:11, 25:29, 28:32],
        "Parotid_L": np.s_[8:16, 19:24, 38:43],
        "Parotid_R": np.s_[8:16, 19:24, 17:22],
        "Bone_Mandible": np.s_[4:10, 8:15, 25:35],
    }
    masks = {name: np.zeros(z.shape, dtype=bool) for name in boxes}
    for name, box in boxes.items():
        masks[name][box] = True
    image = Image(np.rint(hu).astype(np.int16), Frame.canonical(z.shape, (5.0, 5.0, 5.0), (0.0, 0.0, 0.0)))
    return SimpleNamespace(image=image, masks=masks)


@pytest.fixture
def files_are_read_here(monkeypatch):
    """Files are read in this process, where tests can reach them; workers are tested with what they do."""
    from gossamer import bounded_pool

    here = bounded_pool.outcomes

    def outcomes(function, jobs, bounds_of, *, workers, at_a_time=1):
        return here(function, jobs, bounds_of, workers=0, at_a_time=at_a_time)

    for module in (
        *("data.foreign_files", "data.importers.run"),
        *("dicom.files.headers", "dicom.pacs.drawn", "dicom.pacs.stored", "dicom.rtstruct.skim", "dicom.series.find"),
    ):
        monkeypatch.setattr(f"gossamer.{module}.outcomes", outcomes)
