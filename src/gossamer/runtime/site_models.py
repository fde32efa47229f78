"""The model files of a run: the federation's, and this site's own where that is much better on its patients."""

from __future__ import annotations

from pathlib import Path

import torch

from gossamer import __version__
from gossamer.data.fingerprint import merged
from gossamer.data.learned import Learned, learned_from
from gossamer.data.plan import Plan
from gossamer.errors import ModelFileError
from gossamer.gossip.algorithm import Params
from gossamer.learn.floor import FlooredTrainer
from gossamer.runtime.audit import AuditLog
from gossamer.runtime.audit_entries import Finished
from gossamer.runtime.board import Board
from gossamer.runtime.federation_file import Federation
from gossamer.runtime.joining import JOIN, fingerprints_of
from gossamer.segment.model_file import ModelRecord, read_model, write_model
from gossamer.watch import Watch

MODEL, OWN_MODEL = "model.safetensors", "own-model.safetensors"
ARM, OWN = "gossip", "own"


class SiteModels:
    """Writes them, with what they learned from."""

    def __init__(self, folder: Path, federation: Federation, board: Board, audit: AuditLog, watch: Watch) -> None:
        """Of a run.

        Args:
            folder: the run's.
            federation: that trains.
            board: what its sites told of their data.
            audit: notes that the model is there.
            watch: is told, too.
        """
        self.path = folder / MODEL
        self._own = folder / OWN_MODEL
        self._federation = federation
        self._board = board
        self._audit = audit
        self._watch = watch

    def write(self, params: Params, plan: Plan) -> str:
        """Write the federation's, unless it is there; returns its SHA-256.

        That was told to the others: what this site has heard since, or a newer release, would change the file.

        Raises:
            StorageError: it cannot be written.
        """
        sha256 = self._written(params, plan)
        if sha256 is None:
            sha256 = write_model(self.path, params, plan, self._record(plan, ARM), self._learned())
        self._audit.note(Finished(federation=self._federation.sha256, model=sha256))
        self._watch.say(f"The model is there: {self.path}")
        return sha256

    def keep_own(self, floor: FlooredTrainer, params: Params, plan: Plan) -> None:
        """Where the federation's model falls through this site's floor, its own best one is kept beside it.

        Raises:
            StorageError: it cannot be written.
        """
        if not floor.falls_through(params):
            return
        write_model(self._own, floor.best, plan, self._record(plan, OWN), self._learned())
        self._watch.say(
            "The federation's model is much worse on this site's own validation patients than the best that its own "
            f"training made, which is kept at {self._own.name}: compare the two before you use either."
        )

    def _written(self, params: Params, plan: Plan) -> str | None:
        """Of a whole file of these parameters, its SHA-256."""
        if not self.path.exists():
            return None
        try:
            there = read_model(self.path)
        except ModelFileError:
            return None
        is_same = there.plan.hash == plan.hash and there.params.keys() == params.keys()
        is_same = is_same and all(torch.equal(tensor, params[name]) for name, tensor in there.params.items())
        return there.sha256 if is_same else None

    def _learned(self) -> Learned:
        """Of the data of all sites, whatever part of them an own model has seen."""
        return learned_from(merged(fingerprints_of(self._board.said(JOIN)).values()))

    def _record(self, plan: Plan, arm: str) -> ModelRecord:
        settings = self._federation.settings
        fingerprints = fingerprints_of(self._board.said(JOIN))  # of those that joined later too
        everyone = merged(fingerprints.values())
        return ModelRecord(
            arm=arm,
            seed=settings.seed,
            sites={str(site): fingerprint.cases for site, fingerprint in fingerprints.items()},
            annotated={name: everyone.annotated.get(name, 0) for name in plan.structures},
            steps=settings.rounds * settings.local_steps,
            rounds=settings.rounds,
            gossamer_version=__version__,
            federation=self._federation.sha256,
        )
