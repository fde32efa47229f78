"""Gossip federated learning of organ segmentation for radiotherapy: the public names.

Each is loaded when it is first asked for, so that ``import gossamer`` costs nothing and ``gossamer --help`` answers at
once: PyTorch comes with the first name that needs it. Type checkers read the same names in ``__init__.pyi``. They are
not imported here under ``TYPE_CHECKING``, because a room that asks for ``__version__`` would then know all rooms above
it.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

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

_HOME = {name: module for module, names in _PUBLIC.items() for name in names}

__all__ = ["__version__"]
__all__ += list(_HOME)


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value  # the next time Python finds it without asking here
    return value


def __dir__() -> list[str]:
    """The public names, loaded or not."""
    return sorted(globals().keys() | _HOME.keys())
