"""A disk that fails at one call, and one that is full: the site stops with its number, and goes on when it can."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from faults.campaign import Campaign, Result
from faults.one_exchange import Call, Pair, calls_of_one_life, spread, strace_missing
from faults.sites import Federation, Plan, Undisturbed, differing, kept_by, lost_promises, promises_in, undisturbed
from gossamer.errors import DiskFullError, GossamerError, StorageError

ERRORS = {
    "write": ("ENOSPC", "EIO"),
    "fsync": ("EIO", "ENOSPC"),
    "rename": ("EIO", "ENOSPC"),
    "unlink": ("EIO",),
}
"""What each call can meet on a disk; network file systems report a full one as late as at fsync."""

CODES = {"ENOSPC": DiskFullError.code, "EIO": StorageError.code}


def disk_errors(size: int, seed: int, folder: Path) -> Result:
    """Let ``size`` of the calls fail, spread evenly, or each in both ways."""
    plan = Plan(sites=2, rounds=2, seed=seed)
    calls = [call for call in calls_of_one_life(folder / "undisturbed", plan) if call.is_on_disk]
    every = [(call, error) for call in calls for error in ERRORS.get(call.name, ())]
    expected, counts = undisturbed(plan), Counter[str]({"failures": len(every)})
    for at, (call, error) in enumerate(spread(every, size)):
        counts += _fail_at(call, error, Pair(folder / str(at), plan), expected)
    wrong = ("other end", "lost", "twice", "unreadable", "other bits")
    figure = (
        f"{counts['tried']} of {counts['failures']} failing writes, fsyncs, renames and removals: {counts['clean']} "
        f"ended with exit status {StorageError.exit_status} and {StorageError.code} or {DiskFullError.code}; "
        f"{counts['lost']} lost, {counts['unreadable']} unreadable"
    )
    figure += "; all went on afterwards, to the same bits" * (not counts["other bits"])
    return Result(figure, not any(counts[name] for name in wrong), counts, counts["tried"])


def _fail_at(call: Call, error: str, pair: Pair, expected: Undisturbed) -> Counter[str]:
    life = pair.live((call.name, call.number, f"error={error}"))
    is_clean = life.status == StorageError.exit_status and life.said.startswith(CODES[error])
    counts = Counter({"tried": 1, "clean": is_clean, "other end": not is_clean})
    try:
        counts["lost"] += pair.lost()
        pair.live()
        return counts + pair.wrong_at_the_end(expected)
    except GossamerError:
        return counts + Counter({"unreadable": 1})


SMALL_DISK_BYTES = 256 * 1024
AUDIT_BYTES = 32 * 1024
"""By so much the audit log may grow between two times that the disk is full."""

BALLAST = "ballast"


def disk_full(size: int, seed: int, folder: Path) -> Result:
    """Fill one site's disk ``size`` times in the midst of an exchange with three others; make room each time."""
    plan = Plan(rounds=8 * (size + 1), seed=seed)
    federation = Federation(folder / "sites", plan)
    mine = federation.folder / "A"
    counts: Counter[str] = Counter()
    with _small_disk(folder / "disk", SMALL_DISK_BYTES + size * AUDIT_BYTES) as disk:
        shutil.move(mine, disk / "A")
        mine.symlink_to(disk / "A")
        with federation.running():
            for at in range(1, size + 1):
                federation.wait_for_promises(at * 8 * plan.sites, 30.0)
                counts += _fill(federation, disk)
            counts["hung"] += not federation.wait_for_models(60.0)
        counts["other bits"] += differing(federation.models(), undisturbed(plan).models, plan.names)
        counts["lost"] += lost_promises(promises_in(mine), kept_by(mine))
    wrong = ("other end", "lost", "unreadable", "other bits", "hung")
    figure = (
        f"disk full {counts['tried']} times: {counts['clean']} ended with exit status {StorageError.exit_status} and "
        f"{DiskFullError.code}; {counts['lost']} lost, {counts['unreadable']} unreadable"
    )
    figure += "; with room again all four sites ended with the same bits" * (not counts["other bits"])
    return Result(figure, not any(counts[name] for name in wrong), counts)


def _fill(federation: Federation, disk: Path) -> Counter[str]:
    """Take all room away, see how site A ends, give the room back, and start it again."""
    with (disk / BALLAST).open("wb", buffering=0) as ballast:
        try:
            for size_bytes in itertools.repeat(4096):
                ballast.write(bytes(size_bytes))
        except OSError:
            pass
    status = federation.wait_for_end("A", 30.0)
    is_clean = status == StorageError.exit_status and f"{DiskFullError.code}: " in federation.said("A")
    counts = Counter({"tried": 1, "clean": is_clean, "other end": not is_clean})
    try:
        counts["lost"] += lost_promises(promises_in(federation.folder / "A"), kept_by(federation.folder / "A"))
    except GossamerError:
        counts["unreadable"] += 1
    (disk / BALLAST).unlink()
    federation.kill("A")
    federation.start("A")
    return counts


@contextmanager
def _small_disk(folder: Path, size_bytes: int) -> Iterator[Path]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "gossamer-faults", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def tmpfs_missing() -> str | None:
    """Why no small disk can be had here."""
    if os.geteuid() != 0:
        return "mounting a small disk needs root"
    # In a mount namespace of its own: nothing is left behind. Containers often lack the right though they have root.
    tried = subprocess.run(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False
    )
    return None if tried.returncode == 0 else "a tmpfs may not be mounted here"


CAMPAIGNS = (
    Campaign(
        name="disk-errors",
        promise="a failing disk stops a site cleanly",
        what="two rounds of a site with journal and audit log; each write, fsync, rename and removal in "
        "turn meets EIO, then ENOSPC (strace); then the site starts again",
        run=disk_errors,
        small=6,
        full=1000,
        missing=strace_missing,
    ),
    Campaign(
        name="disk-full",
        promise="a full disk stops a site cleanly",
        what="four sites exchange on loopback, one on a small tmpfs that is filled to the last byte, again and "
        "again; then room is made and it starts again",
        run=disk_full,
        small=1,
        full=20,
        missing=tmpfs_missing,
    ),
)
