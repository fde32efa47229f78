"""SIGKILL of real site processes at random moments, while they exchange."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path

from faults.campaign import Campaign, Result
from faults.sites import Federation, Plan, differing, kept_by, lost_promises, promises_in, undisturbed, wrong_counts
from gossamer.errors import GossamerError
from gossamer.runtime.audit import AuditLog, verify_audit
from gossamer.transport.identity import read_identity

ROUNDS = 30
"""Of one federation; after it the next one, until all kills are done."""

MOST_PROMISES = 12
"""Given between two kills: counted, not timed, so that kills fall into work on slow machines too."""

LONGEST_PAUSE_S = 0.02
"""After the last of them: about what a local phase and the exchange after it take."""

STARTS_WITHIN_S = 120.0
"""Before that there is nothing to lose."""

LONGEST_S = 120.0
"""For what is left of a federation once nobody is killed any more."""


def crash(size: int, seed: int, folder: Path) -> Result:
    """Kill ``size`` times, over as many federations as that needs."""
    chance, counts = random.Random(seed), Counter[str]()
    while counts["kills"] < size and not counts["hung"]:
        number = counts["federations"]
        plan = Plan(rounds=min(ROUNDS, 3 + size), seed=1000 * seed + number)
        counts += _one_federation(Federation(folder / str(number), plan), size - counts["kills"], chance)
        counts["federations"] += 1
    broken = counts["lost"] + counts["twice"] + counts["unreadable"] + counts["other bits"] + counts["hung"]
    names = ("lost", "twice", "unreadable")
    figure = f"{counts['kills']:,} SIGKILLs, {counts['promises']:,} promises to peers: "
    figure += ", ".join(f"{counts[name]} {name}" for name in names)
    figure += "; the bits of undisturbed sites" if not broken else f"; {counts['other bits']} models of other bits"
    return Result(figure + f"; {counts['hung']} did not end" * bool(counts["hung"]), not broken, dict(counts))


def _one_federation(federation: Federation, most: int, chance: random.Random) -> Counter[str]:
    counts: Counter[str] = Counter()
    names = federation.plan.names
    with federation.running():
        federation.wait_for_promises(1, STARTS_WITHIN_S)
        until_s = time.monotonic() + LONGEST_S
        while len(federation.models()) < len(names) and counts["kills"] < most and time.monotonic() < until_s:
            federation.wait_for_promises(federation.promises() + chance.randint(1, MOST_PROMISES), 5.0)
            time.sleep(chance.uniform(0.0, LONGEST_PAUSE_S))
            name = chance.choice(names)
            federation.kill(name)
            counts["kills"] += 1
            counts += _look_at(federation.folder / name)
            federation.start(name)
        counts["hung"] += not federation.wait_for_models(LONGEST_S)
    return counts + _look_at_the_end(federation)


def _look_at(folder: Path) -> Counter[str]:
    """What a killed site's disk has of what it promised."""
    try:
        snapshot = kept_by(folder)
    except GossamerError:
        return Counter({"unreadable": 1})
    return Counter({"lost": lost_promises(promises_in(folder), snapshot)})


def _look_at_the_end(federation: Federation) -> Counter[str]:
    counts = Counter({"promises": federation.promises()})
    expected, names = undisturbed(federation.plan), federation.plan.names
    for name in names:
        folder = federation.folder / name
        counts += _look_at(folder)

        try:
            AuditLog(folder, read_identity(folder))  # as the next start does, it sets aside what was torn
            verify_audit(folder)
            snapshot = kept_by(folder)
        except GossamerError:
            counts["unreadable"] += 1
            continue
        counts += wrong_counts(snapshot, expected.absorbed[name])
    counts["other bits"] += differing(federation.models(), expected.models, names)
    return counts


CAMPAIGNS = (
    Campaign(
        name="crash",
        promise="a crash loses no committed exchange",
        what="four sites exchange in lockstep over mutual TLS on loopback; SIGKILL to one of them at a random moment, "
        "again and again. After each its journal is held against what it had promised its peers; at the end shares "
        "absorbed are counted and models compared with a simulation nobody disturbs",
        run=crash,
        small=8,
        full=1000,
    ),
)
