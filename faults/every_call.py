"""SIGKILL at every write, fsync and rename of a site's life, one after the other."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from faults.campaign import Campaign, Result
from faults.one_exchange import Call, Pair, calls_of_one_life, spread, strace_missing
from faults.sites import Plan, Undisturbed, undisturbed
from gossamer.errors import GossamerError

KILLED = -9


def every_call(size: int, seed: int, folder: Path) -> Result:
    """Kill at ``size`` of the calls, spread evenly, or at all."""
    plan = Plan(sites=2, rounds=2, seed=seed)
    calls = calls_of_one_life(folder / "undisturbed", plan)
    expected, counts = undisturbed(plan), Counter[str]({"calls": len(calls)})
    for at, call in enumerate(spread(calls, size)):
        counts += _kill_at(call, Pair(folder / str(at), plan), expected)
    names = ("lost", "twice", "unreadable", "other bits", "not killed")
    found = ", ".join(f"{counts[name]} {name}" for name in names[:3])
    figure = f"SIGKILL at {counts['kills']} of {counts['calls']} writes, fsyncs, renames and removals: {found}"
    return Result(
        figure + "; the same bits" * (not counts["other bits"]),
        not any(counts[n] for n in names),
        counts,
        counts["kills"],
    )


def _kill_at(call: Call, pair: Pair, expected: Undisturbed) -> Counter[str]:
    life = pair.live((call.name, call.number, "signal=SIGKILL"))
    counts = Counter({"kills": life.status == KILLED, "not killed": life.status != KILLED})
    try:
        counts["lost"] += pair.lost()
        pair.live()
        return counts + pair.wrong_at_the_end(expected)
    except GossamerError:
        return counts + Counter({"unreadable": 1})


CAMPAIGNS = (
    Campaign(
        name="every-call",
        promise="a crash at any step of an exchange loses nothing",
        what="two rounds of a site with journal and audit log; SIGKILL as it enters its first write, fsync, rename or "
        "removal, then its second, and so on to the last (strace); then it starts again and goes on",
        run=every_call,
        small=8,
        full=1000,
        missing=strace_missing,
    ),
)
