"""Look at a dataset: a page a case, in parallel; unchanged cases keep theirs.

::

    <out>/index.html            what stands out, and all cases
         /statistics.json       the same numbers
         /cases/<id>.html       pictures of a case
         /cases/<id>.json       what was measured, of what the page was made, and its hash

Law
    1. All of it shows patients: folders are open to their owner alone (0700), files too (0600).
    2. A case is in memory alone, once a worker: its CT, one mask at a time, and of the others the boxes they fill.
    3. A page is kept if its case, its settings and its own bytes are what they were. Pages of cases that are no longer
       in the dataset are removed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from json import dumps
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from gossamer.atomic import storage_error, write_atomically
from gossamer.bounded_pool import Bounds, Lost, outcomes
from gossamer.data.boxed_mask import BoxedMask
from gossamer.data.case_folder import IMAGE_FILE, mask_file
from gossamer.data.dataset import Case, Dataset
from gossamer.data.description import DESCRIPTION_FILE
from gossamer.data.image import Image, check_same_grid, read_mask, read_nifti
from gossamer.documents import parse_json
from gossamer.errors import DataError, DatasetError, EmptyMaskError, GossamerError, UsageError
from gossamer.qa.case_page import render_case
from gossamer.qa.cohort import Cohort, cohort_of
from gossamer.qa.facts import CaseFacts, measure
from gossamer.qa.index_page import render_index

QA_FORMAT = 1
"""Changes when a page or what is measured is made otherwise of the same case."""

OWNER_ALONE, OWNERS_FOLDER = 0o600, 0o700

A_CASE = Bounds(memory_bytes=2**32, seconds=600.0)
"""Ten times what a CT of 512 x 512 x 250 with sixteen structures takes, and more than a hundred times as long."""


class Looked(BaseModel):
    """``<id>.json``: what was measured, and what tells whether page and numbers still hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    made_from: str
    page_sha256: str
    facts: CaseFacts


@dataclass(frozen=True)
class CaseJob:
    """One case to look at; sent to a worker."""

    folder: Path
    site: str
    case: Case
    structures: tuple[str, ...]
    predictions: Path | None
    out: Path

    @property
    def predicted(self) -> list[Path]:
        """Masks that a model made of this case."""
        if self.predictions is None:
            return []
        return sorted((self.predictions / self.case.id / "segmentations").glob("*.nii.gz"))

    def made_from(self) -> str:
        """A key of all that the page is made from."""
        stats = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in self.predicted]
        facts = (QA_FORMAT, self.site, self.case.model_dump_json(), self.structures, stats)
        return hashlib.sha256(repr(facts).encode()).hexdigest()


@dataclass(frozen=True)
class QaReport:
    """What was written.

    Attributes:
        cohort: the statistics.
        index: the page to open.
        drawn, kept: pages made now, and kept from a former run.
        failed: by case: why it could not be looked at.
    """

    cohort: Cohort
    index: Path
    drawn: int
    kept: int
    failed: dict[str, str]


def find_datasets(folder: Path) -> list[Dataset]:
    """The dataset in a folder, or those in its subfolders.

    Raises:
        DatasetError: there is none, or one that cannot be read.
    """
    if (folder / DESCRIPTION_FILE).exists():
        return [Dataset.open(folder)]
    found = [Dataset.open(path.parent) for path in sorted(folder.glob(f"*/{DESCRIPTION_FILE}"))]
    if not found:
        raise DatasetError(
            f"wanted a dataset, or a folder of datasets; found no {DESCRIPTION_FILE} there or one folder below; "
            "give the folder of one site, or finish its import"
        )
    return found


def look_at_dataset(
    dataset: Dataset,
    out: Path,
    *,
    predictions: Path | None = None,
    workers: int = 1,
    on_case: Callable[[str], None] = lambda _id: None,
) -> QaReport:
    """Write a page for each case, and the index.

    Args:
        dataset: of one hospital.
        out: the folder to write; made, for its owner alone.
        predictions: folder that ``gossamer predict`` wrote; its contours are drawn dashed.
        workers: processes; each holds one case.
        on_case: told the id of each case when it is done.

    Raises:
        DataError: no case can be looked at.
        DiskFullError: there is no room; what is finished stays.
    """
    _make_folders(out)
    jobs = [job_of(dataset, case, out, predictions) for case in dataset.cases]
    facts, failed, kept = [], {}, 0
    for job, (looked, reason, was_there) in zip(jobs, _outcomes(jobs, workers), strict=True):
        if looked is None:
            failed[job.case.id] = reason
        else:
            facts.append(looked)
            kept += was_there
        on_case(job.case.id)
    _remove_strangers(out, {job.case.id for job in jobs})
    if not facts:
        raise DataError(
            f"site {dataset.site}: wanted a case to look at; found {len(failed)}, none of which can be read; the "
            f"first: {next(iter(failed.values()), 'the dataset has no cases')}"
        )
    cohort = cohort_of(dataset.site, facts, dataset.structures)
    numbers = asdict(cohort) | {"failed": failed}
    write_atomically(out / "statistics.json", dumps(numbers, indent=1) + "\n", OWNER_ALONE)
    write_atomically(out / "index.html", render_index(cohort, facts, failed), OWNER_ALONE)
    return QaReport(cohort, out / "index.html", len(facts) - kept, kept, failed)


def look_at_one(dataset: Dataset, case_id: str, out: Path, predictions: Path | None = None) -> Path:
    """Write the page of one case, and leave the index as it is.

    Returns:
        The page.

    Raises:
        UsageError: there is no such case.
        DataError: it cannot be read.
    """
    case = next((case for case in dataset.cases if case.id == case_id), None)
    if case is None:
        raise UsageError(
            f"wanted a case of site {dataset.site}; found none of the name given with --case among its "
            f"{len(dataset.cases)}; dataset.json lists them"
        )
    _make_folders(out)
    look_at_case(job_of(dataset, case, out, predictions))
    return _page(out, case_id)


def job_of(dataset: Dataset, case: Case, out: Path, predictions: Path | None = None) -> CaseJob:
    """What a worker is to look at."""
    return CaseJob(dataset.folder, dataset.site, case, dataset.structures, predictions, out)


def look_at_case(job: CaseJob) -> CaseFacts:
    """Measure a case and write its page.

    Raises:
        DataError: it cannot be read.
        StorageError: the page cannot be written.
    """
    what = f"case {job.case.id}"
    image = read_nifti(job.folder / job.case.id / IMAGE_FILE, f"{what}, image")
    masks = {
        name: _read_boxed(job.folder / job.case.id / mask_file(name), image, f"{what}, {name}")
        for name in job.case.annotated
    }
    if empty := [name for name, mask in masks.items() if not mask.count]:
        raise EmptyMaskError(
            f"{what}: wanted the mask of {empty[0]}, which is said to be drawn; found no voxel in it; import the case "
            "again"
        )
    found = {
        name: _read_boxed(path, image, f"{what}, predicted {name}")
        for path in job.predicted
        for name in [path.name.removesuffix(".nii.gz")]
    }
    facts = measure(job.case, image, masks)
    page = render_case(job.site, facts, image, masks, found=found, structures=job.structures).encode()
    write_atomically(_page(job.out, job.case.id), page, OWNER_ALONE)
    looked = Looked(made_from=job.made_from(), page_sha256=hashlib.sha256(page).hexdigest(), facts=facts)
    write_atomically(_numbers(job.out, job.case.id), looked.model_dump_json(indent=1) + "\n", OWNER_ALONE)
    return facts


def _read_boxed(path: Path, image: Image, what: str) -> BoxedMask:
    mask, frame = read_mask(path, what)
    check_same_grid(image.frame, frame, what)
    return BoxedMask.of(mask)


def _page(out: Path, case_id: str) -> Path:
    return out / "cases" / f"{case_id}.html"


def _numbers(out: Path, case_id: str) -> Path:
    return out / "cases" / f"{case_id}.json"


def _kept(job: CaseJob) -> CaseFacts | None:
    """What a former run has found, if nothing has changed since."""
    try:
        text = _numbers(job.out, job.case.id).read_text(encoding="utf-8")
        looked = parse_json(text, Looked, f"case {job.case.id}")
        page = _page(job.out, job.case.id).read_bytes()
        made_from = job.made_from()
    except (OSError, UnicodeDecodeError, GossamerError):
        return None
    same = looked.made_from == made_from and looked.page_sha256 == hashlib.sha256(page).hexdigest()
    return looked.facts if same else None


_Outcome = tuple[CaseFacts | None, str, bool]
"""What was found, else why not; and whether it was there."""


def _look(job: CaseJob) -> _Outcome:
    if facts := _kept(job):
        return facts, "", True
    try:
        return look_at_case(job), "", False
    except DataError as error:
        return None, str(error), False


def _outcomes(jobs: Sequence[CaseJob], workers: int) -> Iterator[_Outcome]:
    """Outcomes in the order of the jobs; of a few cases, or for one worker, in this process."""
    found = outcomes(_look, jobs, lambda _job: A_CASE, workers=0 if workers <= 1 or len(jobs) <= 1 else workers)
    for one in found:
        yield (
            (None, f"wanted to draw it within its bounds; found that {one.why}", False)
            if isinstance(one, Lost)
            else one
        )


def _make_folders(out: Path) -> None:
    try:
        for folder in (out, out / "cases"):
            folder.mkdir(mode=OWNERS_FOLDER, parents=True, exist_ok=True)
            folder.chmod(OWNERS_FOLDER)
    except OSError as error:
        raise storage_error(error, "wanted to make the folder of the pages") from error


def _remove_strangers(out: Path, ids: set[str]) -> None:
    """Pages of cases that are no longer in the dataset (law 3); only what stands beside numbers of ours."""
    for path in (out / "cases").glob("*.json"):
        if path.stem not in ids:
            path.with_suffix(".html").unlink(missing_ok=True)
            path.unlink(missing_ok=True)
