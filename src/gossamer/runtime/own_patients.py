"""What a site does with its own patients in a run: tell their counts, train on them, score the model on them.

What leaves is whole counts and means, as far as the site's policy lets them (``smallest_count``, ``share_scores``).
"""

from __future__ import annotations

from pathlib import Path

from gossamer.atomic import storage_error, write_atomically
from gossamer.data.dataset import Dataset
from gossamer.data.fingerprint import Fingerprint, fingerprint_of_training
from gossamer.data.plan import Plan
from gossamer.data.prepared import PreparedDataset, prepare
from gossamer.errors import DatasetError, NoTrainingCaseError
from gossamer.evaluate.tolerance import tolerance_mm
from gossamer.learn.compute import compute_for, working_type
from gossamer.learn.recipe import Recipe
from gossamer.runtime.site_folder import SiteFolder
from gossamer.runtime.site_results import OrganResult, organ_results
from gossamer.segment.model_file import read_model
from gossamer.segment.score import score_case
from gossamer.watch import Watch

MARK = "data.sha256"


class OwnPatients:
    """A site's dataset in one federation; it must stay what it was when the site joined."""

    def __init__(self, site: SiteFolder, folder: Path, watch: Watch) -> None:
        """Open it.

        Args:
            site: this site's folder.
            folder: of the run; it exists.
            watch: told how it goes.

        Raises:
            DatasetError: the data cannot be opened, or are other data than the site joined with.
            NoTrainingCaseError: there is nothing to train on.
            StorageError: the folder cannot be read.
        """
        self._site = site
        self._mark = folder / MARK
        self._watch = watch
        self._dataset = Dataset.open(site.data)
        if not any(case.split == "train" for case in self._dataset.cases):
            raise NoTrainingCaseError(
                f"site {site.settings.name}: wanted cases of split 'train'; found none, in its dataset; check the "
                "splits"
            )
        self._require_same_data()

    def join(self) -> None:
        """Remember which data these are; the run's folder is held alone.

        Raises:
            DatasetError: they are other data than the site joined with.
            StorageError: the folder cannot be written.
        """
        if not self._require_same_data():
            write_atomically(self._mark, self._dataset.sha256 + "\n")

    def _require_same_data(self) -> bool:
        """Whether these are the data that the site joined with; False where it has not joined."""
        try:
            joined_with = self._mark.read_text(encoding="utf-8", errors="replace").strip()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise storage_error(error, f"wanted to read {MARK}") from error
        if joined_with != self._dataset.sha256:
            raise DatasetError(
                f"site {self._site.settings.name}: wanted the data that it joined this federation with; found other "
                "data, in its dataset folder; put it back, or begin a new federation"
            )
        return True

    def fingerprint(self) -> Fingerprint:
        """What is told of the training cases."""
        cases = sum(case.split == "train" for case in self._dataset.cases)
        with self._watch.task("reading the training cases", cases) as task:
            fingerprint = fingerprint_of_training(self._dataset, lambda: task.advance(1))
        return fingerprint.suppressed(self._site.settings.smallest_count)

    def prepare(self, plan: Plan) -> PreparedDataset:
        """The cases on the plan's grid; see ``data.prepared.prepare`` for what it raises."""
        with self._watch.task("preparing cases", len(self._dataset.cases)) as task:
            return prepare(self._dataset, plan, self._site.path / "prepared", lambda _done, _total: task.advance(1))

    def score(self, model_path: Path, prepared: PreparedDataset, recipe: Recipe) -> tuple[OrganResult, ...]:
        """How a model does on the validation patients; nothing where the site does not share it.

        Args:
            model_path: the model's file.
            prepared: the cases that could be prepared; others cannot be read here either.
            recipe: threads and precision.
        """
        if not self._site.settings.share_scores:
            return ()
        model = read_model(model_path)
        usable = {case.id for case in prepared.split("val")}
        fabric = compute_for(recipe)
        tolerances = {name: tolerance_mm(name) for name in model.plan.structures}
        scores = []
        with self._watch.task("scoring the model on this site's patients", len(usable)) as task:
            for case in (case for case in self._dataset.cases if case.id in usable):
                scores.append(
                    score_case(
                        model, self._dataset, case, tolerances, device=fabric.device, precision=working_type(fabric)
                    )
                )
                task.advance(1)
        return organ_results(scores, model.plan.structures, self._site.settings.smallest_count)
