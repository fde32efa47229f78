"""One site's folder is put back to what it was some rounds ago, while the others have gone on."""

from __future__ import annotations

import random
import shutil
import time
from collections import Counter
from pathlib import Path

from faults.campaign import Campaign, Result
from faults.sites import Federation, Plan, differing, kept_by, undisturbed
from gossamer.gossip import SiteId
from gossamer.gossip.choices import Pace

WHO = SiteId("B")
ROUNDS = 24
FIT_S = 0.02
PROMISES_A_ROUND = 16
"""Of all four sites, about: shares and receipts of two exchanges each."""

PATIENCE_S = 150.0
REASON_S = 120.0
REASON = "set back to a backup"


def old_backup(size: int, seed: int, folder: Path) -> Result:
    """Put ``size`` backups back, half of them in lockstep, half without a common clock."""
    chance, counts = random.Random(seed), Counter[str]()
    for at in range(size):
        pace: Pace = "lockstep" if at % 2 else "asynchronous"
        plan = Plan(rounds=ROUNDS, seed=1000 * seed + at, pace=pace, fit_s=FIT_S)
        counts += _set_back(Federation(folder / str(at), plan), chance)
    wrong = ("silent", "rolled back", "other bits", "hung")
    figure = (
        f"{size} backups put back: {counts['asynchronous']} caught up at the asynchronous pace, {counts['lockstep']} "
        f"said in lockstep what is wrong, and went on with the newer folder; {counts['rolled back']} peers rolled back"
    )
    figure += f"; {counts['own mean']} times not all had heard the same last words" * bool(counts["own mean"])
    figure += "".join(f"; {counts[name]} {name}" for name in wrong if counts[name] and name != "rolled back")
    return Result(figure, not any(counts[name] for name in wrong), counts)


def _set_back(federation: Federation, chance: random.Random) -> Counter[str]:
    folder, pace = federation.folder / WHO, federation.plan.pace
    backup, newer = folder.with_name("backup"), folder.with_name("newer")
    early = chance.randint(2, 5) * PROMISES_A_ROUND
    late = early + chance.randint(4, 8) * PROMISES_A_ROUND
    with federation.running():
        federation.wait_for_promises(early, PATIENCE_S)
        _stop_and_copy(federation, backup)
        federation.start(WHO)
        federation.wait_for_promises(late, PATIENCE_S)
        _stop_and_copy(federation, newer)
        before = _rounds_of_peers(federation)
        _put_back(federation, backup)
        counts = Counter[str]()
        if pace == "lockstep":
            counts["silent"] += not _says_why(federation)
            federation.kill(WHO)
            _put_back(federation, newer)
        counts["hung"] += not federation.wait_for_models(PATIENCE_S)
    after = _rounds_of_peers(federation)
    counts["rolled back"] += sum(after[peer] < before[peer] for peer in before)
    models = federation.models()
    if pace == "lockstep":
        counts["other bits"] += differing(models, undisturbed(federation.plan).models, federation.plan.names)
        return counts + Counter({pace: not counts.total()})
    counts += Counter({pace: not counts.total()})
    # Without a common clock sites may hear other sets of last words, where one of them is set back: all have a model.
    counts["own mean"] += len({str(models.get(name)) for name in federation.plan.names}) > 1
    return counts


def _stop_and_copy(federation: Federation, copy: Path) -> None:
    federation.kill(WHO)
    shutil.copytree(federation.folder / WHO, copy)


def _put_back(federation: Federation, copy: Path) -> None:
    folder = federation.folder / WHO
    shutil.rmtree(folder)
    shutil.copytree(copy, folder)
    federation.start(WHO)


def _rounds_of_peers(federation: Federation) -> dict[SiteId, int]:
    """From their journals. A record is whole whenever it is read; one that is being written is not yet there."""
    peers = (name for name in federation.plan.names if name != WHO)
    kept = {name: kept_by(federation.folder / name) for name in peers}
    return {name: -1 if snapshot is None else snapshot.round_index for name, snapshot in kept.items()}


def _says_why(federation: Federation) -> bool:
    until_s = time.monotonic() + REASON_S
    while time.monotonic() < until_s:
        if any(REASON in federation.said(name) for name in federation.plan.names):
            return True
        time.sleep(0.05)
    return False


CAMPAIGNS = (
    Campaign(
        name="old-backup",
        promise="a site whose folder comes from a backup catches up, or says what is wrong",
        what="four sites exchange on loopback; the folder of one is copied, and put back when the others are rounds "
        "further on. Without a common clock it has to catch up; in lockstep it has to say that it was set back, and "
        "its peers must go on with the newer folder to the bits of undisturbed sites",
        run=old_backup,
        small=2,
        full=20,
    ),
)
