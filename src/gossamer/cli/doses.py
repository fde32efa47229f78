"""The doses of ``gossamer evaluate --dose``: which of a folder's files are a case's, and how they are read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gossamer.cli.console import Teller
    from gossamer.data.dose import DoseGrid

IMAGE_ENDS = (".nii.gz", ".nii")

ENDS = (*IMAGE_ENDS, ".dcm")


class Doses:
    """Doses by case, from a folder of ``<case>.nii.gz``, ``<case>_dose.nii.gz``, ``<case>.dcm`` or ``<case>/``.

    A case's own folder holds ``dose.nii.gz``, or DICOM files with the RTDOSE of its plan among them.
    """

    def __init__(self, folder: Path, teller: Teller) -> None:
        self._folder = folder
        self._teller = teller
        self.lacking: list[str] = []
        """Cases without a dose, or with one that cannot be taken."""
        self.notes: dict[str, list[str]] = {}
        """What a user should know of doses, and the cases that it holds for."""

    def of(self, case: str) -> DoseGrid | None:
        """The dose of a case; None if there is none that can be taken, which is said."""
        from gossamer.errors import DataError

        try:
            dose, notes = self._read(case)
        except DataError as error:
            self._teller.say(f"{error.code}: case {case}, dose: {error}; its dose figures are left out")
            self.lacking.append(case)
            return None
        for note in notes:
            self.notes.setdefault(note, []).append(case)
        if dose is None:
            self.lacking.append(case)
        return dose

    def _read(self, case: str) -> tuple[DoseGrid | None, tuple[str, ...]]:
        from gossamer.data.dose import read_dose_nifti
        from gossamer.data.foreign_files import read_apart
        from gossamer.dicom.dose.choose import read_plan_dose
        from gossamer.errors import DataError

        found = self._candidates(case)
        if not found:
            return None, ()
        if len(found) > 1:
            raise DataError(f"wanted one dose of a case; found {len(found)} under its name; leave the one that counts")
        if found[0].name.endswith(IMAGE_ENDS):
            return read_apart(read_dose_nifti, found[0], found, "a dose"), ()
        dose, notes = read_plan_dose(found[0])
        return dose.dose, notes

    def _candidates(self, case: str) -> list[Path]:
        """Files, or the case's folder, that are a dose by their name."""
        files = [self._folder / f"{case}{tail}{end}" for tail in ("", "_dose") for end in ENDS]
        found = [path for path in files if path.is_file()]
        if (own := self._folder / case).is_dir():
            images = [path for end in IMAGE_ENDS if (path := own / f"dose{end}").is_file()]
            found += images or [own]
        return found
