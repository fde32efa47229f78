"""The model files of a run: the federation's, and this site's own where that is much better on its patients."""

from __future__ import annotations

from pathlib import Path

from gossamer import __version__
from gossamer.data.fingerprint import merged
from gossamer.data.learned import Learned, learned_from
from gossamer.data.plan import Plan
from gossamer.gossip.algorithm import Params
from gossamer.learn.floor import FlooredTrainer
from gossamer.runtime.audit import AuditLog
from gossamer.runtime.audit_entries import Finished
from gossamer.runtime.board import Board
from gossamer.runtime.federation_file import Federation
from gossamer.runtime.joining import JOIN, fingerprints_of
from gossamer.segment.model_file import ModelRecord, write_model
from gossamer.watch import Watch

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
        self.path = folder / "model.safetensors"
        self._own = folder / "own-model.safetensors"
        self._federation = federation
        self._board = board
        self._audit = audit
        self._watch = watch

    def write(self, params: Params, plan: Plan) -> str:
        """Write the federation's; returns its SHA-256.

        Raises:
            StorageError: it cannot be written.
        """
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
