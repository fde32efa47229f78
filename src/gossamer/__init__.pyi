"""The public names for type checkers; ``__init__.py`` loads them when they are first asked for."""

from gossamer.data.dataset import Dataset, DatasetWriter
from gossamer.data.image import Image, read_nifti
from gossamer.data.phantom import write_cohort
from gossamer.data.planning import PlanRules
from gossamer.errors import GossamerError
from gossamer.evaluate.score import Score, score_masks
from gossamer.evaluate.tolerance import tolerance_mm
from gossamer.gossip import GossipAlgorithm, GossipState, Mass, Params, Share, SiteId, Topology, build_gossip
from gossamer.learn.recipe import Recipe
from gossamer.segment.model_file import Model, read_model
from gossamer.segment.predict import predict_masks
from gossamer.study.comparison import compare
from gossamer.study.config import Arm, Schedule, Study, read_study
from gossamer.study.outcome import read_results
from gossamer.study.results import StudyResults
from gossamer.study.run import run_study
from gossamer.study.scores import read_cases
from gossamer.study.summary import closing_table

__version__: str

__all__ = [
    "Arm",
    "Dataset",
    "DatasetWriter",
    "GossamerError",
    "GossipAlgorithm",
    "GossipState",
    "Image",
    "Mass",
    "Model",
    "Params",
    "PlanRules",
    "Recipe",
    "Schedule",
    "Score",
    "Share",
    "SiteId",
    "Study",
    "StudyResults",
    "Topology",
    "__version__",
    "build_gossip",
    "closing_table",
    "compare",
    "predict_masks",
    "read_cases",
    "read_model",
    "read_nifti",
    "read_results",
    "read_study",
    "run_study",
    "score_masks",
    "tolerance_mm",
    "write_cohort",
]
