"""What a study leaves behind: the schema of ``results.json`` and ``cases.csv``.

``results.json`` is one :class:`StudyResults`; ``cases.csv`` one row per (arm, seed, patient, organ, metric set).
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

ArmName = str
"""``local-only``, ``pooled``, ``fedavg``, ``fedprox``, ``gossip``, or a name the study file gives."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OrganScore(_Record):
    """Mean over the patients of one site (or of all) in whom the organ is complete.

    ``None`` where no patient has it. HD95 is over patients in whom both masks have voxels.
    """

    organ: str
    patients: int
    dsc: float | None
    surface_dsc: float | None
    hd95_mm: float | None
    missed: int
    """Patients in whom the organ is drawn and nothing was predicted (their DSC is 0)."""


class SiteScore(_Record):
    """One site's patients under one run."""

    site: str
    model: str
    """File of the model that was scored, relative to the study folder."""
    organs: tuple[OrganScore, ...]


class CurvePoint(_Record):
    """Validation during training."""

    step: int
    """Optimiser steps of one site so far (for pooled: of the one trainer)."""
    samples: int
    """Patches seen by all sites together so far."""
    bytes_sent: int
    """By all sites together so far."""
    dsc: float
    """Mean over organs on validation patients, on the plan's grid; mean over the sites' models."""
    organ_dsc: dict[str, float]
    site_dsc: dict[str, float]
    consensus_distance: float
    """Root mean squared distance of the sites' parameters from their mean, relative to the mean's norm."""
    loss: float


class RunResult(_Record):
    """One arm, one schedule, one seed."""

    arm: ArmName
    schedule: str
    """Name of the schedule among which the arm chose, e.g. ``1 patch, every 5``."""
    seed: int
    chosen: bool
    """Whether this schedule is the one its arm is judged by (chosen on validation)."""
    steps_per_site: int
    batch_size: int
    samples: int
    rounds: int
    bytes_sent: dict[str, int]
    """By site. ``pooled`` sends its images instead of models: the size of all training images."""
    wall_s: float
    cpu_s: float
    simulated_s: float
    """Virtual seconds the federation would have taken on the simulated clocks and lines."""
    best_step: int
    """Step of the checkpoint chosen on validation."""
    sites: tuple[SiteScore, ...]
    curve: tuple[CurvePoint, ...]
    notes: tuple[str, ...] = ()


class SiteFacts(_Record):
    """Who a site is."""

    site: str
    training_cases: int
    validation_cases: int
    set_aside: int
    spacing_mm: tuple[float, float, float]
    extent_mm: tuple[float, float, float]
    annotated: dict[str, int]
    """Training cases in which each structure was drawn."""
    training_image_bytes: int


class LockedScore(_Record):
    """Scores of the finished models on a set that training never saw."""

    set_name: str
    split: str
    sha256: str
    opened_at: tuple[str, ...]
    """Every time the set was opened (UTC, ISO 8601)."""
    runs: tuple[RunScore, ...]


class RunScore(_Record):
    """One run's models on the locked set."""

    arm: ArmName
    schedule: str
    seed: int
    sites: tuple[SiteScore, ...]


class StudyResults(_Record):
    """The whole of ``results.json``."""

    format: Literal[1] = 1
    title: str
    gossamer_version: str
    study_sha256: str
    """Of the study file as run."""
    data_sha256: dict[str, str]
    """By site, of its dataset's description and files."""
    public_data: bool
    """Whether images may appear in the report (public or synthetic data only)."""
    plan: dict[str, object]
    plan_sha256: str
    structures: tuple[str, ...]
    tolerance_mm: dict[str, float]
    seeds: tuple[int, ...]
    sites: tuple[SiteFacts, ...]
    runs: tuple[RunResult, ...]
    locked: tuple[LockedScore, ...] = ()
    environment: dict[str, str]
    notes: tuple[str, ...] = ()


CASE_COLUMNS = (
    "set", "arm", "schedule", "seed", "site", "case", "organ", "dsc", "surface_dsc", "hd95_mm",
    "reference_voxels", "predicted_voxels",
)  # fmt: skip
"""Header of ``cases.csv``. ``set`` is ``val`` or the name of a locked set; case ids are the dataset's own."""
