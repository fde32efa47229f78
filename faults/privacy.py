"""The whole way of a patient's data, with words planted in it that must not come out.

Import, preparation, a run of real sites with gossip over recorded lines, results, model, status, audit log, check and
prediction; and more than thirty errors on purpose on the way. Where a word may stand is said in ``privacy_tokens``.
"""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import logging
import re
import shutil
import tempfile
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from unittest.mock import patch

import nibabel
import numpy as np
from rich.console import Console
from typer.testing import CliRunner

from faults.campaign import Campaign, Result
from faults.net_hospitals import PLAN_AND_RECIPE, Hospitals
from faults.net_proxy import FaultProxy
from faults.privacy_tokens import Planted, hits, hits_in_folder, write_source
from gossamer.bounded_pool import Bounds, outcomes
from gossamer.cli.console import Teller
from gossamer.cli.main import app
from gossamer.errors import GossamerError
from gossamer.runtime.site_run import SiteRun
from gossamer.study import comparison
from gossamer.transport.grpc_streams import CallStream

SITES = "AB"
WORDS_A_CASE = 15
"""Folder, id, flag and two columns; of either file its name, four fields of its header and an extension, less two."""

LONGEST_S = 240.0

LOOKS_EVERY_S = 0.05

TYPED = ("zqpatient", "zqflag")
"""Not even for who typed the command: an import names cases and structures by the words of its own index."""

TOLD_HERE = ("zqpatient", "zqflag", "zqroiname")
"""What a site keeps beside its data and tells its own people may name case ids."""

LEAVES = ("zqpatient", "zqflag", "zqcase", "zqroiname")


STUDY = """
title = "Planted words"
datasets = [{datasets}]
structures = ["Kidney_L", "Kidney_R"]
seeds = [0]
steps = 20
validations = 1
"""

ARMS = """
[arms.local-only]
kind = "local-only"
schedules = [{}]

[arms.gossip]
kind = "federated"
schedules = [{ local_steps = 10 }]
"""


class Search:
    """Everything that is looked at, and what was found in it."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.counts: Counter[str] = Counter()

    def look(self, where: str, content: bytes | str, kinds: tuple[str, ...]) -> None:
        """Search an output."""
        data = content if isinstance(content, bytes) else content.encode()
        self.counts["outputs"] += 1
        self.counts["bytes"] += len(data)
        self.found += [f"{kind} in {where}" for kind in hits(data, kinds)]

    def look_below(self, where: str, folder: Path, kinds: tuple[str, ...]) -> None:
        """Search a folder."""
        self.counts["outputs"] += sum(path.is_file() for path in folder.rglob("*"))
        self.found += [f"{each} ({where})" for each in hits_in_folder(folder, kinds)]


def privacy(size: int, seed: int, folder: Path) -> Result:
    """Plant at least ``size`` words, in as many cases as that takes."""
    planted, search = Planted(), Search()
    cases = max(3, -(-size // (WORDS_A_CASE * len(SITES))))
    with ExitStack() as stack:
        temporary = folder / "tmp"
        temporary.mkdir()
        stack.enter_context(patch.object(tempfile, "tempdir", str(temporary)))
        log = stack.enter_context(_logged())
        seen = stack.enter_context(_watched(search, temporary, folder / "fed"))
        source = folder / "source"
        index, labels, names = write_source(source, planted, SITES, cases)
        options = ["--labels", labels, "--names", names, "--out", folder / "data", "--workers", 1]
        said = command("import", "table", index, *options)
        search.look("import", said, TYPED)
        datasets = {site: folder / "data" / site for site in SITES}
        for site, dataset in datasets.items():
            search.look_below(f"data set of {site}", dataset, ("zqpatient", "zqroiname"))
        run = _run(folder / "fed", datasets, search)
        _predict(folder, next(iter(source.glob("*/*.nii.gz"))), run, search)
        _study(folder, datasets, search)
        small = write_source(folder / "small", planted, SITES[:1], 2)  # quicker to import again and again
        _errors(folder, small, datasets, search)
        search.look("logging", log.getvalue(), TOLD_HERE)
        search.look_below("temporary files", temporary, TOLD_HERE)
        search.counts["temporary files"] = seen()
    search.counts["words"] = len(planted.words)
    leaks = len(search.found)
    figure = f"{len(planted.words)} words planted, {search.counts['errors']} forced errors, {search.counts['outputs']} "
    figure += f"outputs with {search.counts['frames']} frames: {leaks} hits"
    if leaks:
        figure += f" ({'; '.join(sorted(set(search.found))[:5])})"
    enough = (
        search.counts["reports"] == 1
        and len(planted.words) >= size
        and search.counts["errors"] >= 30
        and search.counts["frames"] > 0
    )
    return Result(figure, not leaks and enough, {**search.counts, "hits": leaks})


def command(*words: object) -> str:
    """All that a command says, its error as ``gossamer`` prints it; of any other error the traceback."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    said = result.output + (result.stderr if result.stderr_bytes else "")
    error = result.exception
    if isinstance(error, GossamerError):
        return f"{said}{error.code}: {error}\n"
    if error is not None and not isinstance(error, SystemExit):
        return said + "".join(traceback.format_exception(error))
    return said


def _run(folder: Path, datasets: Mapping[str, Path], search: Search) -> SiteRun:
    """Let the sites join, train and gossip; look at all that leaves them and all that they say."""
    frames: list[bytes] = []
    with ExitStack() as stack:
        hospitals = Hospitals(folder, SITES, data=datasets, rounds=2)
        proxies = {}
        for name, address in hospitals.listens.items():
            proxies[name] = stack.enter_context(FaultProxy(address, records=True))
        _reroute(hospitals, {name: proxy.address for name, proxy in proxies.items()})
        stack.enter_context(_before_encryption(frames))
        words = io.StringIO()
        runs = {name: hospitals.run_of(name, _teller(words)) for name in SITES}
        told = asyncio.run(_live(runs, hospitals))
    for where, text in told.items():
        search.look(f"status {where}", text, LEAVES)
    search.look("what a run says", words.getvalue(), LEAVES)
    for name, proxy in proxies.items():
        search.look(f"bytes to and from {name}", bytes(proxy.recorded), LEAVES)
    for frame in frames:
        search.look("a frame", frame, LEAVES)
    search.counts["frames"] = len(frames)
    search.look("federation file", hospitals.file.read_bytes(), LEAVES)
    for name, run in runs.items():
        search.look(f"card of {name}", (hospitals.folder / name / "card.toml").read_bytes(), LEAVES)
        search.look_below(f"run of {name}", run.folder, LEAVES)
        search.look(f"audit log of {name}", (hospitals.folder / name / "audit.jsonl").read_bytes(), LEAVES)
        search.look_below(f"site {name}", hospitals.folder / name, TOLD_HERE)
        site = ["--folder", hospitals.folder / name]
        search.look("audit show", command("audit", "show", *site), LEAVES)
        search.look("check", command("check", *site), TOLD_HERE)
    return runs[SITES[0]]


def _reroute(hospitals: Hospitals, reached_at: Mapping[str, str]) -> None:
    """Let the peers find each site at its proxy."""
    text = hospitals.file.read_text()
    for name, address in hospitals.listens.items():
        text = text.replace(f'address = "{address}"', f'address = "{reached_at[name]}"')
    hospitals.file.write_text(text)
    for name in hospitals.names:
        hospitals.site(name).approve(hospitals.federation)


async def _live(runs: Mapping[str, SiteRun], hospitals: Hospitals) -> dict[str, str]:
    """All to their ends; what one of them tells meanwhile on its status port."""
    told: dict[str, str] = {}
    working = [asyncio.create_task(run.run()) for run in runs.values()]
    address = hospitals.site(SITES[0]).settings.status
    async with asyncio.timeout(LONGEST_S):
        while not all(task.done() for task in working):
            await asyncio.sleep(0.1)
            for page in ("", "metrics"):
                with suppress(OSError):
                    told[f"/{page} {len(told)}"] = await asyncio.to_thread(_got, address, page)
        await asyncio.gather(*working)
    return told


def _got(address: str, page: str) -> str:
    host, _, port = address.rpartition(":")
    connection = HTTPConnection(host, int(port), timeout=5)
    connection.request("GET", f"/{page}")
    return connection.getresponse().read().decode()


@contextmanager
def _before_encryption(frames: list[bytes]) -> Iterator[None]:
    """Keep all that goes into TLS."""
    write = CallStream.write

    async def kept(self: CallStream, data: bytes) -> None:
        frames.append(bytes(data))
        await write(self, data)

    with patch.object(CallStream, "write", kept):
        yield


def _predict(folder: Path, image: Path, run: SiteRun, search: Search) -> None:
    """Segment a CT under a name that is a case id, whose header is full of words."""
    ct = folder / "ct" / "zqcase.nii.gz"
    ct.parent.mkdir()
    images = _files(image.parents[1], np.int16)
    shutil.copy(images[0], ct)
    said = command("predict", "-i", ct, "-o", folder / "predicted", "-m", run.model, "--labelmap", "--device", "cpu")
    search.look("predict", said, TOLD_HERE)
    search.look_below("predictions", folder / "predicted", TOLD_HERE)


def _study(folder: Path, datasets: Mapping[str, Path], search: Search) -> None:
    """A study of the same data on one machine; its report is for the sites' own people."""
    home = folder / "study"
    home.mkdir()
    listed = ", ".join(f'"{dataset}"' for dataset in datasets.values())
    (home / "study.toml").write_text(STUDY.format(datasets=listed) + PLAN_AND_RECIPE + ARMS)
    with ExitStack() as stack:
        for name, few in (("RESAMPLES", 100), ("PART_RESAMPLES", 50)):
            stack.enter_context(patch.object(comparison, name, few))
        said = command("study", "run", home / "study.toml", "--out", home / "out")
    search.look("study run", said, TOLD_HERE)
    search.look_below("study", home / "out", TOLD_HERE)
    search.counts["reports"] = len(list((home / "out").rglob("report.html")))


def _outcomes_here(
    function: Callable[[Any], Any], jobs: Iterable[Any], bounds_of: Callable[[Any], Bounds], *, workers: int
) -> Iterator[Any]:
    """What a worker would find, without the second that each takes to begin: dozens of imports end at their error."""
    return outcomes(function, jobs, bounds_of, workers=0)


def _errors(folder: Path, source: tuple[Path, Path, Path], datasets: Mapping[str, Path], search: Search) -> None:
    """Spoil what a command reads, one thing at a time; each time it must complain, and name no word."""
    broken, out = folder / "broken", folder / "spoiled"
    for what, spoil in (*SPOILED_FILES.items(), *SPOILED_INDEXES.items()):
        shutil.rmtree(broken, ignore_errors=True)
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(source[0].parent, broken)
        spoil(broken)
        index, labels, names = (broken / path.name for path in source)
        options = ["--labels", labels, "--names", names, "--out", out, "--workers", 1, "--max-set-aside", 0]
        with patch("gossamer.data.importers.run.outcomes", _outcomes_here):
            said = command("import", "table", index, *options)
        search.counts["errors"] += "GOS-" in said
        search.look(f"import with {what}", said, TYPED)
        search.look_below(f"import with {what}", out, ("zqpatient", "zqroiname"))
    site = folder / "fed" / SITES[0]
    for what, spoil in SPOILED_SETS.items():
        data = datasets[SITES[0]]
        kept = folder / "kept"
        shutil.copytree(data, kept)
        spoil(data)
        for words in (("check",), ("site", "run", folder / "fed" / "FED.toml")):
            with patch("gossamer.runtime.ending.LAST_WORD_S", 0.1):  # its peer has gone
                said = command(*words, "--folder", site)
            search.counts["errors"] += "GOS-" in said
            search.look(f"{words[0]} with {what}", said, TOLD_HERE)
        shutil.rmtree(data, ignore_errors=True)
        kept.rename(data)


def _files(folder: Path, kind: type[np.generic]) -> list[Path]:
    images = sorted(folder.glob("*/*.nii.gz"))
    return [path for path in images if _header_of(path).get_data_dtype() == kind]


def _header_of(path: Path) -> Any:
    return nibabel.Nifti1Image.from_bytes(gzip.decompress(path.read_bytes())).header


def _of(kind: type[np.generic], spoil: Callable[[Path], Any]) -> Callable[[Path], Any]:
    return lambda folder: spoil(_files(folder, kind)[0])


def _header(field: str, value: Any) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        header = bytearray(gzip.decompress(path.read_bytes()))
        fields: Any = nibabel.Nifti1Header.template_dtype.fields
        place = fields[field]
        raw = np.frombuffer(header, place[0], count=1, offset=place[1]).copy()
        raw[...] = value
        header[place[1] : place[1] + raw.nbytes] = raw.tobytes()
        path.write_bytes(gzip.compress(bytes(header), 1))

    return spoil


def _as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGE: dict[str, Callable[[Path], Any]] = {
    "no file": Path.unlink,
    "an empty file": lambda path: path.write_bytes(b""),
    "a cut file": lambda path: path.write_bytes(path.read_bytes()[:200]),
    "flipped bytes": lambda path: path.write_bytes(path.read_bytes()[:-8] + bytes(8)),
    "text": lambda path: path.write_text("zqpatient, born zqpatient"),
    "a folder": _as_folder,
    "too many dimensions": _header("dim", [4, 20, 18, 8, 2, 1, 1, 1]),
    "too large an image": _header("dim", [3, 30000, 30000, 30000, 1, 1, 1, 1]),
    "an unknown type": _header("datatype", 128),
    "no number in its place": _header("srow_x", [np.nan, 0, 0, 0]),
    "micrometres": _header("xyzt_units", 3),
    "voxels far behind": _header("vox_offset", 1e9),
}

SPOILED_FILES = {
    f"{what} as {role}": _of(kind, spoil)
    for role, kind in (("image", np.int16), ("label map", np.uint8))
    for what, spoil in DAMAGE.items()
} | {"another grid": _of(np.uint8, _header("srow_x", [-2.0, 0, 0, 40.0]))}  # fmt: skip


def _index(change: Callable[[str], str]) -> Callable[[Path], Any]:
    return lambda folder: (folder / "index.csv").write_text(change((folder / "index.csv").read_text()))


SPOILED_INDEXES: dict[str, Callable[[Path], Any]] = {
    "an unknown split": _index(lambda text: text.replace(",train,", ",trainset,", 1)),
    "a column that is missing": _index(lambda text: text.replace("complete", "whole", 1)),
    "a field too many": _index(lambda text: text.replace("\n", ",zqpatient\n", 2)),
    "a case twice": _index(lambda text: text + text.splitlines()[1] + "\n"),
    "a case id with a path": _index(lambda text: text.replace("zqcase", "../zqcase", 1)),
    "a structure that nobody knows": _index(lambda text: re.sub("zqroiname[0-9]+", "zqroiname9999", text, count=1)),
    "other bytes than UTF-8": lambda folder: (folder / "index.csv").write_bytes(b"id,\xff\xfe\n"),
    "labels that are none": lambda folder: (folder / "labels.json").write_text('["zqroiname"]'),
    "no labels": lambda folder: (folder / "labels.json").unlink(),
    "names that are none": lambda folder: (folder / "names.toml").write_text("zqroiname = "),
}


def _spoil_description(data: Path) -> None:
    path = data / "dataset.json"
    description = json.loads(path.read_text())
    description["cases"][0]["split"] = "zqpatient"
    path.write_text(json.dumps(description))


def _rewrite_one(name: str, content: bytes) -> Callable[[Path], Any]:
    return lambda data: sorted(data.rglob(name))[0].write_bytes(content)


SPOILED_SETS: dict[str, Callable[[Path], Any]] = {
    "no description": lambda data: (data / "dataset.json").unlink(),
    "a spoiled description": _spoil_description,
    "no image": lambda data: sorted(data.rglob("ct.nii.gz"))[0].unlink(),
    "a spoiled image": _rewrite_one("ct.nii.gz", b"zqpatient"),
    "a spoiled mask": _rewrite_one("Kidney_L.nii.gz", b"zqpatient"),
}


def _teller(words: io.StringIO) -> Teller:
    return Teller(Console(file=words))


@contextmanager
def _logged() -> Iterator[io.StringIO]:
    """All that goes to Python's logging, from the lowest level up."""
    text = io.StringIO()
    handler, root = logging.StreamHandler(text), logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield text
    finally:
        root.removeHandler(handler)
        root.setLevel(before)


@contextmanager
def _watched(search: Search, temporary: Path, sites: Path) -> Iterator[Callable[[], int]]:
    """Look into files that are there for a moment: temporary ones, and what a site has half received."""
    over, seen = threading.Event(), set[Path]()

    def look() -> None:
        while not over.wait(LOOKS_EVERY_S):
            for path in (*temporary.rglob("*"), *sites.glob("*/runs/*/incoming/**/*"), *sites.glob("*/runs/*/*.tmp")):
                with suppress(OSError):
                    if path not in seen and path.is_file():
                        search.found += [f"{kind} in a temporary file" for kind in hits(path.read_bytes(), TOLD_HERE)]
                        seen.add(path)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield lambda: len(seen)
    finally:
        over.set()
        thread.join()


CAMPAIGNS = (
    Campaign(
        name="privacy",
        promise="no leak of PHI",
        what="words planted in headers, header extensions, names of files and folders, columns, case ids and structure "
        "names go the whole way: import, preparation, a run of real sites, results, model, status, audit log, check, "
        "prediction, with errors forced on purpose. Searched (plain, UTF-16, hexadecimal, base64, gzip): every output, "
        "frames before encryption, bytes on the lines, logs and temporary files",
        run=privacy,
        small=200,
        full=1000,
    ),
)
