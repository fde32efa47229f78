"""Gossip federated learning of organ segmentation for radiotherapy: the public names.

Each is loaded when it is first asked for (``lazily``), so that ``gossamer --help`` answers at once.
"""

from __future__ import annotations

import os

from gossamer.lazily import lazily

__version__ = "0.1.0"

os.environ["THP_MEM_ALLOC_ENABLE"] = "1"
"""PyTorch then asks Linux for large memory pages: writing a new model into memory takes a third of the time, a training
step up to a tenth less (docs/reference/benchmarks.md). It looks once, before its first tensor."""

_PUBLIC = {
    "data.dataset": ("Dataset", "DatasetWriter"),
    "data.image": ("Image", "read_nifti"),
    "data.phantom": ("write_cohort",),
    "data.planning": ("PlanRules",),
    "errors": ("GossamerError",),
    "evaluate.score": ("Score", "score_masks"),
    "evaluate.tolerance": ("tolerance_mm",),
    "gossip": ("GossipAlgorithm", "GossipState", "Mass", "Params", "Share", "SiteId", "Topology", "build_gossip"),
    "learn.recipe": ("Recipe",),
    "segment.model_file": ("Model", "read_model"),
    "segment.predict": ("predict_masks",),
    "study.comparison": ("compare",),
    "study.config": ("Arm", "Schedule", "Study", "read_study"),
    "study.outcome": ("read_results",),
    "study.results": ("StudyResults",),
    "study.run": ("run_study",),
    "study.scores": ("read_cases",),
    "study.summary": ("closing_table",),
}
"""By module, the names that are promised to stay; everything else may move."""

__all__ = ["__version__"]
__all__ += [name for names in _PUBLIC.values() for name in names]

__getattr__, __dir__ = lazily(__name__, _PUBLIC)
