"""This site's data: all of it read before the night, not during it.

What the description tells (splits, structures) is judged at once. Then every image is read to its end and compared with
its hash, then every mask; where the time does not suffice for all, what was not reached is said.

Two images with the same voxels are one patient. It is found however the files are compressed, stored or turned, and not
where an image was cropped or resampled.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from itertools import chain, zip_longest
from pathlib import Path

from gossamer.data.dataset import Dataset
from gossamer.data.description import SPLITS, Case
from gossamer.data.labels import LabelSpace
from gossamer.errors import DatasetError, GossamerError, NoTrainingCaseError
from gossamer.runtime.preflight.bounded import ask
from gossamer.runtime.preflight.finding import Finding, fault, fault_of, ok, warning
from gossamer.runtime.preflight.reading import ImageRead, MasksRead, read_image, read_masks
from gossamer.watch import Watch
from gossamer.words import FEW, first_few

READERS = 4
"""Cases read at a time: unpacking takes the processor, and each holds an image in memory."""

IMPORT_AGAIN = "correct them where they come from, and import again"


def check_data(folder: Path, structures: Sequence[str], seconds: float, watch: Watch) -> list[Finding]:
    """Everything about this site's data.

    Args:
        folder: of the dataset.
        structures: of the federation; empty where no federation file was given.
        seconds: that reading may take.
        watch: told how it goes.
    """
    until = time.monotonic() + seconds
    try:
        dataset = Dataset.open(folder)
    except GossamerError as error:
        return [fault_of("data", error)]
    except OSError as error:
        return [fault("data", DatasetError, f"the dataset's folder: {error.strerror}", "let this user read it")]
    described = [_cases(dataset), *check_splits(dataset.cases), *check_structures(dataset.cases, structures)]
    return described + _check_contents(dataset, until, watch)


def check_splits(cases: Sequence[Case]) -> list[Finding]:
    """Cases to train on, and to validate on."""
    count = Counter(case.split for case in cases)
    found = ", ".join(f"{count[split]} {split}" for split in SPLITS)
    if not count["train"]:
        return [fault("splits", NoTrainingCaseError, found, "give cases the split 'train', and import again")]
    if not count["val"]:
        remedy = "give a few cases the split 'val': the model is scored on them here"
        return [warning("splits", NoTrainingCaseError, found, remedy)]
    return [ok("splits", found)]


def check_structures(cases: Sequence[Case], structures: Sequence[str]) -> list[Finding]:
    """The federation's structures, in how many training cases each was drawn, and what was drawn besides."""
    drawn = Counter(name for case in cases if case.split == "train" for name in case.annotated)
    if not structures:
        return [ok("structures", _counted(drawn))]
    wanted = Counter({name: drawn[name] for name in structures})
    findings = [ok("structures", _counted(wanted))]
    if never := [name for name in structures if not drawn[name]]:
        findings = [
            warning(
                "structures",
                DatasetError,
                f"never drawn in a training case here: {', '.join(never)}; of {_counted(wanted)}",
                "if that is so, nothing: this site learns them from the others; else look at the names in the import",
            )
        ]
    if besides := sorted(drawn.keys() - set(structures)):
        findings.append(ok("structures", f"drawn here, and not of this federation: {first_few(besides)}", "others"))
    return findings


def check_duplicates(images: Sequence[ImageRead]) -> list[Finding]:
    """One patient under several ids, worst of all in two splits."""
    same: dict[bytes, list[Case]] = {}
    for image in images:
        if image.digest:
            same.setdefault(image.digest, []).append(image.case)
    copies = [cases for cases in same.values() if len(cases) > 1]
    if not copies:
        return [ok("duplicates", f"no image twice among {sum(map(len, same.values()))}")]
    across = sum(len({case.split for case in cases}) > 1 for cases in copies)
    groups = [" = ".join(f"{case.id} ({case.split})" for case in cases[:FEW]) for cases in copies]
    found = f"{len(copies)} image(s) under several ids, {across} of them in several splits: {first_few(groups)}"
    return [fault("duplicates", DatasetError, found, f"keep one of each; {IMPORT_AGAIN}")]


def check_sides(masks: Sequence[MasksRead]) -> list[Finding]:
    """Left structures lie left of their right partners, in the patient."""
    swapped, pairs = [], 0
    for read in masks:
        names = tuple(read.left_mm)
        for left, right in LabelSpace(names).pairs:
            pairs += 1
            apart_mm = read.left_mm[names[left]] - read.left_mm[names[right]]
            if apart_mm <= 0:
                swapped.append(f"{read.case.id} {names[left]} ({-apart_mm:.0f} mm right of its partner)")
    if swapped:
        found = f"{len(swapped)} of {pairs} pairs lie the wrong way round: {first_few(swapped)}"
        remedy = f"names were swapped, or the image is mirrored: look at these cases in a viewer; {IMPORT_AGAIN}"
        return [fault("sides", DatasetError, found, remedy)]
    return [ok("sides", f"left lies left in all of {pairs} pairs")]


def _cases(dataset: Dataset) -> Finding:
    found = f"{len(dataset.cases)} cases, {len(dataset.set_aside)} set aside by the import"
    return ok("data", found)


def _counted(drawn: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in drawn.most_common()) or "none drawn"


def _check_contents(dataset: Dataset, until: float, watch: Watch) -> list[Finding]:
    cases = _mixed(dataset.cases)
    with watch.task("reading this site's cases", 2 * len(cases)) as task:

        def seen() -> None:
            task.advance(1)

        threads = min(READERS, os.cpu_count() or 1)
        of_images = [partial(read_image, dataset, case) for case in cases]
        images = ask(of_images, until - time.monotonic(), threads, seen).in_order
        frames = {image.case.id: image.frame for image in images}
        of_masks = [partial(read_masks, dataset, case, frames.get(case.id)) for case in cases]
        masks = ask(of_masks, until - time.monotonic(), threads, seen).in_order
    return [
        *_read("images", [image.error for image in images if image.error], len(images), len(cases)),
        *_read("masks", [error for each in masks for error in each.errors], len(masks), len(cases)),
        *check_duplicates(images),
        *check_sides(masks),
    ]


def _mixed(cases: Sequence[Case]) -> list[Case]:
    """Cases of all splits by turns, so that each has had its share when the time is over."""
    by_split = [[case for case in cases if case.split == split] for split in SPLITS]
    return [case for case in chain.from_iterable(zip_longest(*by_split)) if case is not None]


def _read(what: str, errors: Sequence[GossamerError], reached: int, total: int) -> list[Finding]:
    """How reading went: one finding for each kind of error, and one for what was not reached."""
    by_code: dict[str, list[GossamerError]] = {}
    for error in errors:
        by_code.setdefault(error.code, []).append(error)
    findings = []
    for kind in by_code.values():
        first = fault_of(what, kind[0])
        more = f" (and {len(kind) - 1} more like it)" if len(kind) > 1 else ""
        findings.append(fault(what, type(kind[0]), first.found + more, first.remedy))
    if reached < total:
        found = f"{reached} of {total} cases were read in the time there is"
        findings.append(
            warning(what, DatasetError, found, "nothing, or let it run on a faster disk: the rest is unseen")
        )
    elif not errors:
        findings.append(ok(what, f"those of all {total} cases are whole"))
    return findings
