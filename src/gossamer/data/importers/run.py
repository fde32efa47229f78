"""Import cases from any source: in parallel, resumable, setting bad cases aside; one that exceeds its bounds is bad."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gossamer.atomic import unfinished_folder
from gossamer.bounded_pool import Lost, outcomes
from gossamer.data.case_folder import read_finished_case, write_case
from gossamer.data.dataset import Case, Dataset, DatasetWriter, SetAside
from gossamer.data.description import MAX_SET_ASIDE, require_safe_id, require_unique_ids
from gossamer.data.foreign_files import bounds
from gossamer.data.importers.source import CaseLeftOutError, CaseSource
from gossamer.errors import DataError, DatasetError


@dataclass(frozen=True)
class Imported:
    """The result of an import.

    Attributes:
        datasets: one a site, in the order of their names.
        left_out: cases that the source's own rules do not use, and why.
        failed: by site: why it could not be imported.
        kept: how many cases a former run had finished.
        written: how many this one has written.
    """

    datasets: tuple[Dataset, ...]
    left_out: tuple[SetAside, ...]
    failed: dict[str, DataError]
    kept: int
    written: int


@dataclass(frozen=True)
class _Outcome:
    """What became of one case: written at a site or kept from a former run, bad, or left out."""

    id: str
    site: str
    case: Case | None = None
    kept: bool = False
    bad: str | None = None
    left_out: str | None = None


def import_cases(
    sources: Sequence[CaseSource],
    out: Path,
    *,
    public: bool = False,
    max_set_aside: float = MAX_SET_ASIDE,
    workers: int = 0,
    on_case: Callable[[str], None] = lambda _id: None,
) -> Imported:
    """Write one dataset a site below ``out``; what a former, interrupted run has finished is kept.

    Args:
        sources: all cases of all sites.
        out: folder of the datasets, each in a folder named after its site.
        public: the images may be shown in reports.
        max_set_aside: share of a site's cases that may be bad.
        workers: processes that read, within bounds of memory and time; 0 reads in this one, without.
        on_case: told the id of each case when it is done.

    Raises:
        DatasetError: there is no case, ids are unsafe or not unique.
        DiskFullError: there is no room; what is finished stays, and the same import goes on from there.
        WorkerError: no worker can be started.
        DataError: a case is bad, or exceeds its bounds, of which only its files can tell the site.
    """
    if not sources:
        raise DatasetError("wanted cases to import; found none; check that the folder or index is the right one")
    sites = sorted({site for source in sources for site in source.sites})
    writers = {site: DatasetWriter(out / site, site, public=public) for site in sites}
    for site in sites:
        ids = [source.id for source in sources if site in source.sites]
        for case_id in ids:
            require_safe_id(case_id, f"site {site}, case id")
        require_unique_ids(ids, f"site {site}")
    by_site: dict[str, list[_Outcome]] = defaultdict(list)
    for outcome in _outcomes([(source, out) for source in sources], workers):
        by_site[outcome.site].append(outcome)
        on_case(outcome.id)
    datasets, failed = [], {}
    for site in sorted(by_site):
        used = [outcome for outcome in by_site[site] if not outcome.left_out]
        try:
            if used:
                datasets.append(_finish(writers[site], used, max_set_aside))
        except DataError as error:
            failed[site] = error
    left = [SetAside(case=o.id, reason=o.left_out) for site in by_site for o in by_site[site] if o.left_out]
    cases = [outcome for site in by_site for outcome in by_site[site] if outcome.case is not None]
    kept = sum(outcome.kept for outcome in cases)
    return Imported(tuple(datasets), tuple(left), failed, kept, len(cases) - kept)


def _finish(writer: DatasetWriter, used: Iterable[_Outcome], max_set_aside: float) -> Dataset:
    for outcome in used:
        if outcome.case is not None:
            writer.keep(outcome.case)
        else:
            writer.set_aside(outcome.id, outcome.bad or "")
    return writer.finish(max_set_aside)


def _outcomes(jobs: Sequence[tuple[CaseSource, Path]], workers: int) -> Iterator[_Outcome]:
    """Outcomes in the order of the jobs."""
    found = outcomes(_import_one, jobs, lambda job: bounds(job[0].files), workers=workers)
    for (source, out), outcome in zip(jobs, found, strict=True):
        yield _lost(source, out, outcome) if isinstance(outcome, Lost) else outcome


def _lost(source: CaseSource, out: Path, lost: Lost) -> _Outcome:
    """A case that its worker could not end; what it has left half-written goes."""
    for site in source.sites:
        shutil.rmtree(unfinished_folder(out / site / source.id), ignore_errors=True)
    message = (
        f"case {source.id}: wanted a case that can be read within its bounds; found that {lost.why}; export its files "
        "again, free memory, or leave the case out"
    )
    if len(source.sites) > 1:  # nobody can say whose bad case it is
        raise DataError(message)
    return _Outcome(source.id, source.sites[0], bad=message)


def _import_one(job: tuple[CaseSource, Path]) -> _Outcome:
    source, out = job
    site = source.sites[0] if len(source.sites) == 1 else None
    try:
        made_from = source.made_from()
        for known in source.sites:
            if case := read_finished_case(out / known / source.id, made_from):
                return _Outcome(source.id, known, case, kept=True)
        loaded = source.load()
        site = loaded.site
        case = write_case(
            out / site / source.id,
            source.split,
            loaded.image,
            loaded.masks,
            complete=loaded.complete,
            notes=loaded.notes,
            made_from=made_from,
        )
        return _Outcome(source.id, site, case)
    except CaseLeftOutError as reason:
        return _Outcome(source.id, source.sites[0], left_out=str(reason))
    except DataError as error:
        if site is None:  # nobody can say whose bad case it is
            raise
        return _Outcome(source.id, site, bad=str(error))
