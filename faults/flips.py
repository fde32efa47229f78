"""One bit turned in what a site has on its disk."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from faults.campaign import Campaign, Result
from faults.sites import Plan as Agreed
from faults.sites import Walking
from gossamer.data.plan import NetworkPlan, Plan
from gossamer.errors import GossamerError
from gossamer.gossip import TrainerState
from gossamer.nets import build_network, parameters_of
from gossamer.runtime.audit import AuditLog, verify_audit
from gossamer.runtime.audit_entries import ShareSent
from gossamer.runtime.journal import Journal, Kept
from gossamer.runtime.simulation import Simulation
from gossamer.segment.model_file import Model, ModelRecord, read_model, write_model
from gossamer.transport.identity import new_identity, write_identity

RECORDS = 4
"""Kept by the journal before its files are looked at; the last two are what it may give back."""

LINES = 40
"""Of the audit log, the last one a signed head."""


@dataclass(frozen=True)
class Target:
    """A file, and how it is read.

    Attributes:
        kind: in the figure.
        path: of the file.
        read: and say how it ends, one of ``ENDS``. Raises GossamerError for damage.
    """

    kind: str
    path: Path
    read: Callable[[], str]


def flips(size: int, seed: int, folder: Path) -> Result:
    """Turn ``size`` bits, one at a time, over all files alike."""
    targets = [*_journal(folder / "journal"), _audit(folder / "audit"), _model(folder), _checkpoint(folder)]
    chance, counts = random.Random(seed), Counter[str]()
    for number in range(size):
        target = targets[number % len(targets)]
        counts[f"{target.kind}: {_flipped(target, chance)}"] += 1
    totals = {name: sum(counts[f"{target}: {name}"] for target in {t.kind for t in targets}) for name in ENDS}
    figure = (
        f"{size:,} flipped bits: {totals['found']:,} found, {totals['harmless']:,} where nothing is read any more, "
    )
    figure += f"{totals['taken']} taken for something else, {totals['crash']} other errors"
    return Result(figure, not totals["taken"] + totals["crash"], counts | Counter(totals))


ENDS = ("found", "harmless", "taken", "crash")


def _flipped(target: Target, chance: random.Random) -> str:
    whole = target.path.read_bytes()
    at = chance.randrange(len(whole))
    target.path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << chance.randrange(8)]) + whole[at + 1 :])
    try:
        return target.read()
    except GossamerError:
        return "found"
    except Exception:  # noqa: BLE001  # whatever it is, it is not one on purpose
        return "crash"
    finally:
        target.path.write_bytes(whole)


def _journal(folder: Path) -> list[Target]:
    """Damage is found, and the record before comes back where there is one; or nothing has changed."""
    folder.mkdir()
    snapshot = Agreed(sites=2).nodes()[Agreed().names[0]].snapshot()
    journal = Journal(folder)
    journal.read()
    written = {}
    for number in range(RECORDS):
        walk = torch.full((64,), float(number))
        journal.write(Kept(snapshot, TrainerState({"walk": walk}, {"phases": number}), 0.5 * number))
        written[number] = (walk, 0.5 * number)
    state = snapshot.state

    def read() -> str:
        kept = Journal(folder).read()
        if kept is None:
            return "taken"
        number = int(kept.trainer_state.values["phases"])
        walk, loss = written[number]
        same = all(torch.equal(kept.snapshot.state.params[name], state.params[name]) for name in state.params)
        if not (same and torch.equal(kept.trainer_state.tensors["walk"], walk) and kept.loss == loss):
            return "taken"
        return "harmless" if number == RECORDS - 1 else "found"

    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [Target("journal", path, read) for path in files]


def _audit(folder: Path) -> Target:
    folder.mkdir()
    identity = new_identity("A")
    write_identity(identity, folder)
    log = AuditLog(folder, identity)
    for number in range(LINES - 1):
        log.note(ShareSent(peer="B", exchange=number, size_bytes=1, sha256="0" * 64))
    head = log.sign()
    return Target("audit log", folder / "audit.jsonl", lambda: _as_written(verify_audit(folder).head == head))


def _model(folder: Path) -> Target:
    plan = Plan(
        structures=("Parotid_L", "SpinalCord"),
        spacing_mm=(3.0, 2.0, 2.0),
        patch_size=(8, 16, 16),
        hu_low=-200.0,
        hu_high=300.0,
        hu_mean=10.0,
        hu_sd=100.0,
        position_channels=False,
        network=NetworkPlan("unet", (2, 4), ((2, 2, 2),)),
    )
    path = folder / "model.safetensors"
    record = ModelRecord(arm="gossip", seed=0, sites={"A": 1}, steps=1, rounds=1, gossamer_version="faults")
    write_model(path, parameters_of(build_network(plan)), plan, record)
    whole = read_model(path)

    def is_same(found: Model) -> bool:
        return (
            (found.plan, found.record, found.sha256) == (whole.plan, whole.record, whole.sha256)
            and found.params.keys() == whole.params.keys()
            and all(torch.equal(found.params[name], whole.params[name]) for name in whole.params)
        )

    return Target("model file", path, lambda: _as_written(is_same(read_model(path))))


def _checkpoint(folder: Path) -> Target:
    def beginning() -> Simulation:
        nodes = agreed.nodes()
        return Simulation(list(nodes.values()), {name: Walking(name, 0) for name in nodes}, local_steps=2)

    agreed, path = Agreed(sites=2, rounds=2), folder / "checkpoint"
    running = beginning()
    for _ in range(7):
        running.step()
    whole = running.checkpoint().to_bytes()
    path.write_bytes(whole)

    def read() -> str:
        restored = beginning()
        restored.restore(bytearray(path.read_bytes()))
        return _as_written(restored.checkpoint().to_bytes() == whole)

    return Target("checkpoint of a simulation", path, read)


def _as_written(is_so: bool) -> str:
    return "harmless" if is_so else "taken"


CAMPAIGNS = (
    Campaign(
        name="flips",
        promise="a flipped bit is found",
        what="one bit at a time is turned in journal, audit log, model file and a simulation's checkpoint, which are "
        "then read: found, or what comes out is what was written. Only the newer of the journal's records is needed",
        run=flips,
        small=500,
        full=10_000,
    ),
)
