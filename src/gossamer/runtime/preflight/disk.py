"""The disk that a site's folder lies on: room for a run, and writing that the disk really keeps."""

from __future__ import annotations

import shutil
from pathlib import Path

from gossamer.atomic import storage_error, write_atomically
from gossamer.errors import DiskFullError, StorageError
from gossamer.runtime.preflight.finding import Finding, fault, fault_of, ok, warning
from gossamer.runtime.preflight.needs import Needs

TRIAL = ".check"
TRIAL_BYTES = 4096

GIB = 2**30

COMFORT = 2
"""Room for so many times what is needed is enough not to speak of it: other programs write, too."""


def check_room(folder: Path, needs: Needs | None) -> list[Finding]:
    """Free space on each disk that the folder's parts lie on.

    Args:
        folder: of the site.
        needs: of a run; None where they could not be told.
    """
    parts = {"prepared": needs.prepared_bytes if needs else 0, "runs": needs.run_bytes if needs else 0}
    places: dict[int, tuple[Path, int, list[str]]] = {}
    try:
        for name, size in parts.items():
            place = folder / name if (folder / name).is_dir() else folder
            first, before, names = places.get(place.stat().st_dev, (place, 0, []))
            places[place.stat().st_dev] = first, before + size, [*names, name]
        return [_room(place, size, names, known=needs is not None) for place, size, names in places.values()]
    except OSError as error:
        return [fault_of("disk", storage_error(error, "wanted to look at the disk"))]


def _room(place: Path, size: int, names: list[str], *, known: bool) -> Finding:
    free = shutil.disk_usage(place).free
    subject = " + ".join(names) if len(names) == 1 else ""
    found = f"{free / GIB:.1f} GiB free"
    if not known:
        return ok("disk", f"{found}; what a run needs is not known without data and plan", subject)
    found += f"; a run needs up to {size / GIB:.2f} GiB for {' and '.join(names)}"
    if free < size:
        return fault("disk", DiskFullError, found, "free some, or move the site's folder to a larger disk", subject)
    if free < COMFORT * size:
        return warning("disk", DiskFullError, found, "free some: other programs write here, too", subject)
    return ok("disk", found, subject)


def check_writing(folder: Path) -> list[Finding]:
    """Write a few bytes, flush them to the disk and remove them, in the site's folder and the folders of its parts."""
    places = [folder, *_folders_in(folder), *_folders_in(folder / "prepared"), *_folders_in(folder / "runs")]
    findings = []
    for place in places:
        try:
            _write_and_remove(place / TRIAL)
        except StorageError as error:
            findings.append(fault_of("writing", error, "" if place == folder else place.relative_to(folder).as_posix()))
    return findings or [ok("writing", f"written, flushed and removed again in {len(places)} folder(s)")]


def _folders_in(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError:
        return []


def _write_and_remove(trial: Path) -> None:
    write_atomically(trial, bytes(TRIAL_BYTES))
    try:
        trial.unlink()
    except OSError as error:
        raise storage_error(error, f"wanted to remove {trial.name}") from error
