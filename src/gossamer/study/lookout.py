"""Looking at a run while it trains: validation, the checkpoint it is judged by, and organs that are stuck.

The checkpoint is chosen on validation patients only. Learners that end with one model choose together; a hospital
that trains alone chooses alone.

Law: what is kept depends on the parameters seen, not on when the run was interrupted. A look is on the disk before
the run goes on; one that is taken again after an interruption replaces itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
from pydantic import BaseModel, ConfigDict

from gossamer import __version__
from gossamer.atomic import write_atomically
from gossamer.data.fingerprint import merged
from gossamer.data.learned import Learned, learned_from
from gossamer.documents import parse_json
from gossamer.errors import StorageError
from gossamer.gossip import consensus_distance
from gossamer.gossip.algorithm import Params
from gossamer.learn.alarms import DUE, stuck_organs
from gossamer.learn.compute import compute_for
from gossamer.learn.validate import validate
from gossamer.nets import build_network, load_parameters
from gossamer.segment.model_file import ModelRecord, write_model
from gossamer.study.jobs import Job
from gossamer.study.results import CurvePoint
from gossamer.study.workspace import Workspace

CURVE = "curve.json"
MODELS = "models"

NO_CAUSE = "it has cases and size, so more steps may show it"


class Curve(BaseModel):
    """All looks of a run so far; ``curve.json``.

    Attributes:
        points: in the order of their steps.
        scores: by learner, the validation score of each point.
        losses: by round, each learner's mean training loss; kept here because a look tells the mean of all rounds
            since the look before, also of those before an interruption.
        notes: what a reader should know, such as an organ that is stuck.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    points: tuple[CurvePoint, ...] = ()
    scores: dict[str, tuple[float, ...]] = {}
    losses: dict[int, tuple[float, ...]] = {}
    notes: tuple[str, ...] = ()

    def before(self, step: int) -> Curve:
        """What was known before ``step``."""
        kept = sum(point.step < step for point in self.points)
        return self.model_copy(
            update={
                "points": self.points[:kept],
                "scores": {learner: scores[:kept] for learner, scores in self.scores.items()},
            }
        )

    def after_round(self, round_index: int, losses: Iterable[float]) -> Curve:
        """With the losses of one more round; those of rounds that are gone through again come anew."""
        kept = {index: known for index, known in self.losses.items() if index < round_index}
        return self.model_copy(update={"losses": {**kept, round_index: tuple(losses)}})

    def loss(self, first_round: int, end_round: int) -> float:
        """Mean training loss over the rounds from ``first_round`` up to, without, ``end_round``."""
        return fmean(loss for index in range(first_round, end_round) for loss in self.losses.get(index, ()))

    def best(self, learners: Sequence[str]) -> int | None:
        """Index of the point at which the learners' mean score was highest; the first of equals."""
        if not self.points:
            return None
        means = np.mean([self.scores[learner] for learner in learners], axis=0)
        return int(np.argmax(means))


class Lookout:
    """Validates a run's models and keeps the best."""

    def __init__(self, job: Job, workspace: Workspace, place: Path) -> None:
        """Look at one run.

        Args:
            job: the run.
            workspace: the study it belongs to.
            place: the run's folder; ``curve.json`` is written there, and models into its ``models/``.
        """
        self._job = job
        self._workspace = workspace
        self._place = place
        self._network = build_network(workspace.plan)
        self._fabric = compute_for(workspace.study.recipe)
        self._groups = [tuple(job.learners)] if job.arm.kind == "federated" else [(name,) for name in job.learners]
        self.curve = self._read()

    def model_path(self, learner: str) -> Path:
        """Where a learner's model is kept: that of its best look so far."""
        return self._place / MODELS / f"{learner}.safetensors"

    def best_step(self) -> int:
        """Step of the checkpoint; where hospitals choose alone, the median of their steps."""
        steps = [self.curve.points[best].step for group in self._groups if (best := self.curve.best(group)) is not None]
        return int(np.median(steps)) if steps else 0

    def note_losses(self, round_index: int, losses: Iterable[float]) -> None:
        """Note the losses of a round that has ended."""
        self.curve = self.curve.after_round(round_index, losses)

    def keep(self) -> None:
        """Write what was noted."""
        write_atomically(self._place / CURVE, self.curve.model_dump_json(indent=1))

    def look(self, step: int, params: Mapping[str, Params], *, bytes_sent: int) -> tuple[str, ...]:
        """Score all learners' models on their hospitals' validation patients; keep those that are best so far.

        Args:
            step: optimiser steps of a learner so far.
            params: by learner.
            bytes_sent: by all learners together so far.

        Returns:
            What should be said aloud, and was not said before an interruption.
        """
        scores = {
            hospital: self._validate(hospital, params[learner])
            for learner, hospitals in self._job.learners.items()
            for hospital in hospitals
        }
        everyone = organ_means([patient for patients in scores.values() for patient in patients])
        by_hospital = {
            hospital: mean_of_organs(organ_means(patients)) for hospital, patients in scores.items() if any(patients)
        }
        before = self.curve.before(step)
        looked_at = before.points[-1].step if before.points else 0
        point = CurvePoint(
            step=step,
            samples=step * self._job.schedule.batch_size * len(self._job.learners),
            bytes_sent=bytes_sent,
            dsc=mean_of_organs(everyone),
            organ_dsc=everyone,
            site_dsc=by_hospital,
            consensus_distance=consensus_distance(list(params.values())),
            loss=before.loss(looked_at // self._job.local_steps, step // self._job.local_steps),
        )
        said = self._stuck(point, before)
        # Learners that end with one model are judged by all patients together, one that is alone by its own, or by
        # all where its hospital has none: a score that never moved would keep the first, least trained model.
        alone = by_hospital if len(self._groups) > 1 else {}
        self.curve = Curve(
            points=(*before.points, point),
            scores={name: (*before.scores.get(name, ()), alone.get(name, point.dsc)) for name in params},
            losses=before.losses,
            notes=tuple(dict.fromkeys((*before.notes, *said))),
        )
        self._keep_best(params, step)
        self.keep()
        return tuple(line for line in said if line not in before.notes)

    def _keep_best(self, params: Mapping[str, Params], step: int) -> None:
        newest = len(self.curve.points) - 1
        for group in self._groups:
            if self.curve.best(group) == newest:
                for learner in group:
                    record, learned = self._record(learner, step), self._learned(learner)
                    write_model(self.model_path(learner), params[learner], self._workspace.plan, record, learned)

    def _hospitals(self, learner: str) -> tuple[str, ...]:
        """Those whose patients a learner's model has learned from."""
        federated = self._job.arm.kind == "federated"
        return self._workspace.sites if federated else tuple(self._job.learners[learner])

    def _learned(self, learner: str) -> Learned | None:
        fingerprints = self._workspace.fingerprints
        return learned_from(merged(fingerprints[h] for h in self._hospitals(learner))) if fingerprints else None

    def _record(self, learner: str, step: int) -> ModelRecord:
        federated = self._job.arm.kind == "federated"
        hospitals = self._hospitals(learner)
        cases = {hospital: self._workspace.prepared[hospital].split("train") for hospital in hospitals}
        return ModelRecord(
            arm=self._job.arm_name,
            seed=self._job.seed,
            sites={hospital: len(own) for hospital, own in cases.items()},
            annotated={
                name: sum(case.annotated[c] for own in cases.values() for case in own)
                for c, name in enumerate(self._workspace.plan.structures)
            },
            steps=step,
            rounds=step // self._job.local_steps if federated else 0,
            gossamer_version=__version__,
        )

    def _validate(self, hospital: str, params: Params) -> list[Mapping[str, float]]:
        load_parameters(self._network, params)
        cases = self._workspace.prepared[hospital].split("val")
        return list(validate(self._network, cases, self._workspace.plan, self._fabric).values())

    def _stuck(self, point: CurvePoint, before: Curve) -> tuple[str, ...]:
        """Organs at DSC 0 after a fifth of the training: said at the first look that is due, not at each."""
        if any(earlier.step / self._job.steps >= DUE for earlier in before.points):
            return ()
        cases = [case for prepared in self._workspace.prepared.values() for case in prepared.split("train")]
        stuck = stuck_organs(point.organ_dsc, cases, self._workspace.plan.structures, point.step / self._job.steps)
        return tuple(
            f"{organ.structure} is still at DSC 0 after {point.step} of {self._job.steps} steps; "
            + (f"likely because {'; '.join(organ.causes)}" if organ.causes else NO_CAUSE)
            for organ in stuck
        )

    def _read(self) -> Curve:
        path = self._place / CURVE
        return parse_json(path.read_text(encoding="utf-8"), Curve, CURVE, StorageError) if path.exists() else Curve()


def organ_means(patients: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """By organ the mean over the patients who have it."""
    organs = dict.fromkeys(organ for patient in patients for organ in patient)
    return {organ: float(np.mean([patient[organ] for patient in patients if organ in patient])) for organ in organs}


def mean_of_organs(by_organ: Mapping[str, float]) -> float:
    """Mean over organs; 0 where there is none."""
    return float(np.mean(list(by_organ.values()))) if by_organ else 0.0
