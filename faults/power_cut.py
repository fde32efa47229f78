"""Power cuts: a file system that stops at once, and comes back with what had reached its disk.

The file system is an ext4 in a file, mounted through a loop device with ``noauto_da_alloc``: without it ext4 writes a
renamed file's content early, and hides a forgotten fsync. The cut is ext4's own shutdown, which drops all that is not
on the device, log included; the next mount replays the log as after a real one. It shows what is in the operating
system's memory alone; that a disk keeps what it was told to flush, it does not.

Source: the shutdown is the one by which the file systems' own tests cut the power (xfstests, ``src/godown.c``).
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import random
import shutil
import struct
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from unittest.mock import patch

import torch

from faults.campaign import Campaign, Result
from faults.processes import begin, pipe
from faults.sites import Plan
from gossamer.errors import GossamerError, StorageError
from gossamer.gossip import TrainerState
from gossamer.runtime.audit import AuditLog, verify_audit
from gossamer.runtime.audit_chain import LOG
from gossamer.runtime.audit_entries import ShareSent
from gossamer.runtime.journal import Journal, Kept
from gossamer.transport.identity import Identity, new_identity, write_identity

IMAGE_BYTES = 32 * 2**20
OPTIONS = "loop,noauto_da_alloc"

SHUTDOWN = 0x8004587D
"""``EXT4_IOC_SHUTDOWN``, ``_IOR('X', 125, __u32)``."""

WITHOUT_LOG = 2
"""``EXT4_GOING_FLAGS_NOLOGFLUSH``: not even the log is written out first."""

NEW_MOUNTS = 0x20000
"""``CLONE_NEWNS``: mounts that this process makes end with it, however it ends."""

LONGEST_S = 0.25
"""From the beginning of writing to the cut: some tens of records."""

CONTROLS = 10
"""One cut in so many is repeated without fsync."""

PATIENCE_S = 600.0


def power_cut(size: int, seed: int, folder: Path) -> Result:
    """Cut the power ``size`` times."""
    counts = Counter(_apart(folder, size, seed))
    wrong = ("lost", "unreadable", "other end")
    controls = counts["controls"]
    figure = (
        f"{counts['cuts']} cuts after {counts['records']:,} records and {counts['lines']:,} audit lines: "
        f"{counts['lost']} lost, {counts['unreadable']} unreadable; without fsync {counts['control failed']} of "
        f"{controls} lose some"
    )
    return Result(figure, not any(counts[name] for name in wrong) and counts["control failed"] > 0, counts)


def _apart(folder: Path, size: int, seed: int) -> dict[str, int]:
    """In a process with mounts of its own."""
    ours, theirs = pipe()
    process = begin(_cuts, folder, size, seed, theirs)
    theirs.close()
    try:
        counts: dict[str, int] = ours.recv() if ours.poll(PATIENCE_S + 5.0 * size) else {"hung": 1}
    except EOFError:
        counts = {"other end": 1}
    finally:
        process.kill()
        process.join()
    return counts


def _cuts(folder: Path, size: int, seed: int, line: Connection) -> None:
    if ctypes.CDLL(None, use_errno=True).unshare(NEW_MOUNTS):
        raise OSError(ctypes.get_errno(), "no mounts of its own")
    _run("mount", "--make-rprivate", "/")
    image, place = folder / "image", folder / "mounted"
    with image.open("wb") as file:
        file.truncate(IMAGE_BYTES)
    _run("mkfs.ext4", "-q", image)
    place.mkdir()
    chance, counts, identity = random.Random(seed), Counter[str](), new_identity("A")
    for at in range(size):
        counts["cuts"] += 1
        counts += _one_cut(image, place, "site", chance, identity)
        if at % CONTROLS == 0:
            with patch("os.fsync", new=lambda descriptor: None):
                found = _one_cut(image, place, f"control-{at}", chance, identity)
            counts["controls"] += 1
            counts["control failed"] += bool(found["lost"] + found["unreadable"])
    line.send(dict(counts))


class _Writer(threading.Thread):
    """Keeps records and notes lines until the disk is gone, and remembers what it was told is durable."""

    def __init__(self, folder: Path, identity: Identity) -> None:
        super().__init__()
        self._journal, self._audit = Journal(folder), AuditLog(folder, identity)
        kept = self._journal.read()
        self.durable = -1 if kept is None else int(kept.trainer_state.values["phases"])
        self.lines = self._audit.head.count
        self.first, self.first_line = self.durable, self.lines
        self.other_end = False

    @property
    def promised(self) -> tuple[int, int]:
        """The last record and the number of lines that are said to be durable."""
        return self.durable, self.lines

    def run(self) -> None:
        snapshot = Plan(sites=2).nodes()[Plan().names[0]].snapshot()
        try:
            while True:
                state = TrainerState({"walk": torch.full((5000,), float(self.durable))}, {"phases": self.durable + 1})
                self._journal.write(Kept(snapshot, state, 0.0))
                self.durable += 1
                self._audit.note(ShareSent(peer="B", exchange=self.lines, size_bytes=1, sha256="0" * 64))
                self.lines = self._audit.head.count
        except StorageError:
            return
        except OSError:
            self.other_end = True


def _one_cut(image: Path, place: Path, name: str, chance: random.Random, identity: Identity) -> Counter[str]:
    folder = place / name
    with _mounted(image, place):
        if not folder.exists():
            folder.mkdir()
            write_identity(identity, folder)
            os.sync()
        writer = _Writer(folder, identity)
        writer.start()
        time.sleep(chance.uniform(0.0, LONGEST_S))
        # Before the cut, not after: an fsync that goes on while ext4 gives up its log may return without an error
        # (jbd2 no longer finds the transaction to wait for). With the power gone nobody would hear of it.
        promised = writer.promised
        _cut(place)
        writer.join()
    with _mounted(image, place):
        found = _look_at(folder, promised, identity)
        if found.total():
            shutil.rmtree(folder)  # the next cut begins anew
        os.sync()
    found["records"] += promised[0] - writer.first
    found["lines"] += promised[1] - writer.first_line
    found["other end"] += writer.other_end
    return found


def _look_at(folder: Path, promised: tuple[int, int], identity: Identity) -> Counter[str]:
    """What came back, held against the record and the count of lines that were said to be durable."""
    try:
        kept = Journal(folder).read()
        AuditLog(folder, identity)  # as at the next start: what was torn is set aside
        lines = verify_audit(folder).head.count if (folder / LOG).exists() else 0
    except GossamerError:
        return Counter({"unreadable": 1})
    found = -1 if kept is None else int(kept.trainer_state.values["phases"])
    return Counter({"lost": max(0, promised[0] - found) + max(0, promised[1] - lines)})


def _cut(place: Path) -> None:
    descriptor = os.open(place, os.O_RDONLY)
    try:
        fcntl.ioctl(descriptor, SHUTDOWN, struct.pack("I", WITHOUT_LOG))
    finally:
        os.close(descriptor)


@contextmanager
def _mounted(image: Path, place: Path) -> Iterator[None]:
    _run("mount", "-o", OPTIONS, image, place)
    try:
        yield
    finally:
        _run("umount", place)


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True)


def missing() -> str | None:
    """Why no ext4 can be mounted here."""
    if os.geteuid() != 0:
        return "mounting an ext4 needs root"
    if shutil.which("mkfs.ext4") is None:
        return "mkfs.ext4 is not installed (apt-get install e2fsprogs)"
    if "ext4" not in Path("/proc/filesystems").read_text().split():
        return "this kernel has no ext4"
    tried = subprocess.run(["unshare", "--mount", "losetup", "--find"], capture_output=True, check=False)
    return None if tried.returncode == 0 else "there is no loop device, or it may not be used here"


CAMPAIGNS = (
    Campaign(
        name="power-cut",
        promise="a power cut loses nothing that was kept",
        what="a journal and an audit log at work on an ext4 (loop device, noauto_da_alloc), which is shut down at a "
        "random moment with all that is not on its device, then mounted again. The control does the same without fsync",
        run=power_cut,
        small=10,
        full=100,
        missing=missing,
    ),
)
