"""Training cases from a folder of DICOM: one a patient, the CT with the structure set that was drawn on it.

Law
    1. Whose files belong together is told by what they say (Patient ID, references), never by folders.
    2. A structure comes under a standard name that its ROI bears, or that a person has confirmed for it; no other is
       taken. One that cannot be converted counts as not drawn, which is never wrong.
    3. A side that contradicts the geometry refuses the whole case: nobody knows what else is wrong there.
    4. Nothing that leaves here holds a hospital's text: a case bears its pseudonym, a ROI its number and standard name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import RTStructureSetStorage

from gossamer.data.image import Image
from gossamer.data.importers.source import CaseLeftOutError, CaseSource, LoadedCase
from gossamer.data.importers.whole_set import complete_masks, train_val_split
from gossamer.data.laterality import wrong_sides
from gossamer.data.tg263 import STRUCTURES
from gossamer.dicom.filling import fill_structure
from gossamer.dicom.headers import CT_CLASSES, FolderHeaders, Header, read_headers
from gossamer.dicom.matching import Match, choose_structure_set, match_series
from gossamer.dicom.pseudonyms import Pseudonyms
from gossamer.dicom.series import CtSeries, find_series
from gossamer.dicom.structure_set import StructureSet, read_structure_set
from gossamer.dicom.volume import carry_image, carry_mask, is_regular, read_volume, regular_stack, to_canonical
from gossamer.errors import DataError, DatasetError, EmptyMaskError

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class DicomFolder:
    """What a folder of DICOM gives.

    Attributes:
        cases: one a patient.
        unreadable: why each DICOM file was left out that cannot be read.
        not_dicom: files that are something else.
        repeated: files left out because an equal one was taken.
    """

    cases: tuple[DicomCase, ...]
    unreadable: tuple[str, ...]
    not_dicom: int
    repeated: int


def dicom_cases(
    folder: Path,
    site: str,
    names: Mapping[str, str],
    pseudonyms: Pseudonyms,
    *,
    label: str | None = None,
    val_fraction: float,
    seed: int,
    score_cut: bool,
    workers: int = 1,
    on_file: Callable[[int, int], None] | None = None,
) -> DicomFolder:
    """The patients in a folder.

    Args:
        folder: searched with its subfolders.
        site: the hospital.
        names: standard names by ROI names, as a person confirmed them.
        pseudonyms: of this site's patients.
        label: of the structure sets that are wanted, where a CT has several.
        val_fraction: share of the patients that validates.
        seed: of the draw.
        score_cut: score organs that reach the first or last slice, too.
        workers: processes that read headers.
        on_file: called as ``on_file(done, of)`` after each file.

    Raises:
        DatasetError: there is no CT and no structure set below the folder.
        UnreadableImageError: the folder cannot be listed.
        WorkerError: a worker was killed.
    """
    found = read_headers(folder, workers, on_file)
    patients = _patients(found)
    if not patients:
        raise DatasetError(
            f"wanted CT series and structure sets; found {len(found.headers)} DICOM objects, none of them either, and "
            f"{found.not_dicom} other files; check that the folder is the right one"
        )
    by_id = {pseudonyms.of(key): headers for key, headers in patients.items()}
    split = train_val_split(list(by_id), val_fraction, seed)
    cases = tuple(
        DicomCase(
            id=case_id,
            split=split[case_id],
            sites=(site,),
            headers=tuple(headers),
            names=tuple(sorted(names.items())),
            label=label,
            score_cut=score_cut,
        )
        for case_id, headers in sorted(by_id.items())
    )
    return DicomFolder(cases, found.unreadable, found.not_dicom, found.repeated)


def roi_names(
    folder: Path, workers: int = 1, on_file: Callable[[int, int], None] | None = None
) -> tuple[Counter[str], int]:
    """ROI names in the structure sets of a folder.

    Returns:
        In how many sets each name is that of a volume, and how many sets were read.

    Raises:
        UnreadableImageError: the folder cannot be listed.
        WorkerError: a worker was killed.
    """
    counts, sets = Counter[str](), 0
    for header in read_headers(folder, workers, on_file).headers:
        if header.sop_class_uid != RTStructureSetStorage:
            continue
        try:
            structures = read_structure_set(header.path)
        except DataError:
            continue  # the import says why
        sets += 1
        counts.update({roi.name for roi in structures.rois.values() if roi.name and roi.is_volume})
    return counts, sets


def _patients(found: FolderHeaders) -> dict[str, list[Header]]:
    """Headers of CT images and structure sets, by patient; without a Patient ID, by study."""
    patients: dict[str, list[Header]] = {}
    for header in found.headers:
        if header.sop_class_uid in CT_CLASSES or header.sop_class_uid == RTStructureSetStorage:
            patients.setdefault(header.patient_key or f"study {header.study_uid}", []).append(header)
    return patients


@dataclass(frozen=True)
class DicomCase(CaseSource):
    """All CT images and structure sets of a patient.

    Attributes:
        headers: of all of them.
        names: ROI name and standard name, as a person confirmed them.
        label: of the structure set that is wanted.
        score_cut: score organs that reach the first or last slice, too.
    """

    headers: tuple[Header, ...]
    names: tuple[tuple[str, str], ...]
    label: str | None
    score_cut: bool

    @property
    def files(self) -> Sequence[Path]:
        """See ``CaseSource``."""
        return [header.path for header in self.headers]

    @property
    def settings(self) -> Any:
        """See ``CaseSource``."""
        return self.names, self.label, self.score_cut

    def load(self) -> LoadedCase:
        """See ``CaseSource``."""
        structures, match, notes = self._chosen()
        series = match.series
        volume = read_volume(series)
        drawn, more = self._filled(structures, match)
        notes = (*notes, *match.notes, *series.notes, *volume.notes, *more)
        image, masks = _in_canonical(volume.voxels, drawn, series)
        if wrong := wrong_sides(masks, image):
            raise DataError(
                f"case {self.id}: wanted structures on the side that their names say; found {'; '.join(wrong)}; "
                "were they named wrongly, or is the CT mirrored? correct the structure set, or the names file"
            )
        complete = complete_masks(masks, score_cut=self.score_cut)
        return LoadedCase(self.sites[0], image, masks, complete, notes)

    def _chosen(self) -> tuple[StructureSet, Match[CtSeries], tuple[str, ...]]:
        """The structure set that counts, the series it was drawn on, and what is to be said of the others."""
        sets, notes = self._structure_sets()
        if not sets:
            raise CaseLeftOutError("; ".join(["no structure set", *notes]))
        referenced = frozenset().union(*(one.image_uids for one in sets), *(_contour_images(one) for one in sets))
        found = find_series(self.headers, referenced)
        notes += [f"a CT series was refused: {refused.reason}" for refused in found.refused]
        if not found.series:
            raise DataError(f"case {self.id}: wanted a CT series; found none that can be read; {'; '.join(notes)}")
        matches: dict[int, Match[CtSeries]] = {}
        for place, one in enumerate(sets):
            try:
                matches[place] = match_series(one, found.series)
            except DataError as error:
                notes.append(str(error))
        if not matches:
            raise DataError(f"case {self.id}: wanted a structure set of one of its CT series; {'; '.join(notes)}")
        choice = choose_structure_set([sets[place] for place in matches], self.label)
        notes += [f"another structure set was not taken: {reason}" for _, reason in choice.losers]
        place = next(place for place in matches if sets[place] is choice.chosen)
        return choice.chosen, matches[place], tuple(notes)

    def _structure_sets(self) -> tuple[list[StructureSet], list[str]]:
        sets, notes = [], []
        for header in self.headers:
            if header.sop_class_uid != RTStructureSetStorage:
                continue
            try:
                sets.append(read_structure_set(header.path))
            except DataError as error:
                notes.append(f"a structure set cannot be read: {error}")
        return sets, notes

    def _filled(self, structures: StructureSet, match: Match[CtSeries]) -> tuple[dict[str, Mask], list[str]]:
        """Masks [k, r, c] by standard name, and what became of the other ROIs."""
        own, notes = dict(self.names), list(structures.notes)
        rois: dict[str, list[int]] = {}
        unnamed = 0
        for name, roi in structures.by_name.items():
            standard = own.get(name, name if name in STRUCTURES else None)
            if standard is None:
                unnamed += 1
            elif standard and roi.number not in match.foreign_rois:
                rois.setdefault(standard, []).append(roi.number)
        masks = {}
        for standard, numbers in rois.items():
            if len(numbers) > 1:
                listed = " and ".join(f"ROI {number}" for number in numbers)
                notes.append(f"{standard}: not taken, since {listed} both mean it")
                continue
            try:
                filled = fill_structure(
                    structures.rois[numbers[0]],
                    match.series.stack,
                    match.series.sop_instance_uids,
                    match.series.frame_numbers,
                )
            except DataError as error:
                notes.append(f"{standard}: not taken: {error}")
            else:
                masks[standard] = filled.mask
                notes += [f"{standard}: {note}" for note in filled.notes]
        if unnamed:
            notes.append(f"without a standard or confirmed name, not taken: {unnamed} of {len(structures.rois)} ROIs")
        if not rois:
            raise CaseLeftOutError("; ".join(["no structure with a standard or confirmed name", *notes]))
        if not masks:
            raise EmptyMaskError(
                f"case {self.id}: wanted masks of {', '.join(rois)}; found none that can be taken; {'; '.join(notes)}"
            )
        return masks, notes


def _contour_images(structures: StructureSet) -> frozenset[str]:
    return frozenset().union(*(roi.image_uids for roi in structures.rois.values()))


def _in_canonical(voxels: NDArray[Any], drawn: Mapping[str, Mask], series: CtSeries) -> tuple[Image, dict[str, Mask]]:
    """Image and masks in canonical orientation; what is uneven or tilted is carried onto an even grid."""
    stack, regular = series.stack, series.stack
    masks = dict(drawn)
    if not is_regular(stack):
        regular = regular_stack(stack)
        voxels = carry_image(voxels, stack, regular)
        masks = {name: carry_mask(mask, stack, regular) for name, mask in masks.items()}
    turned, frame = to_canonical(voxels, regular)
    return Image(turned, frame), {name: to_canonical(mask, regular)[0] for name, mask in masks.items()}
