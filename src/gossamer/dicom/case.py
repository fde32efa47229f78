"""A patient's training case: the CT with the structure set that was drawn on it, chosen, filled, named and checked.

Law
    1. Whose files belong together is told by what they say (references), never by folders; see ``rtstruct.matching``.
    2. A structure comes under a standard name that its ROI bears, or that a person has confirmed for it; no other is
       taken. One that cannot be converted counts as not drawn, which is never wrong.
    3. A side that contradicts the geometry refuses the whole case: nobody knows what else is wrong there.
    4. Nothing that leaves here holds a hospital's text: a case bears its pseudonym, a ROI its number and standard name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import RTStructureSetStorage

from gossamer.data.derived import derive_all, operands
from gossamer.data.image import Image
from gossamer.data.importers.naming import parse_formulas
from gossamer.data.importers.source import CaseLeftOutError, CaseSource, LoadedCase
from gossamer.data.importers.whole_set import complete_masks
from gossamer.data.laterality import wrong_sides
from gossamer.data.second_look import second_look
from gossamer.data.tg263 import STRUCTURES
from gossamer.dicom.files.header import Header
from gossamer.dicom.rtstruct.filling import fill_structure
from gossamer.dicom.rtstruct.matching import Match, choose_structure_set, match_series
from gossamer.dicom.rtstruct.read import read_structure_set
from gossamer.dicom.rtstruct.structure_set import StructureSet
from gossamer.dicom.series.canonical import canonical_image, canonical_mask
from gossamer.dicom.series.ct_series import CtSeries
from gossamer.dicom.series.find import find_series
from gossamer.dicom.series.volume import read_volume
from gossamer.errors import DataError, EmptyMaskError

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class DicomCase(CaseSource):
    """All CT images and structure sets of a patient.

    Attributes:
        headers: of all of them.
        names: ROI name and standard name, as a person confirmed them.
        derived: standard name and formula of the structures that are made of others.
        label: of the structure set that is wanted.
        frame_uid: frame of reference of the CT that is wanted, where several were planned on; else "".
        score_cut: score organs that reach the first or last slice, too.
    """

    headers: tuple[Header, ...]
    names: tuple[tuple[str, str], ...]
    derived: tuple[tuple[str, str], ...]
    label: str | None
    frame_uid: str
    score_cut: bool

    @property
    def files(self) -> Sequence[Path]:
        """See ``CaseSource``."""
        return [header.path for header in self.headers]

    @property
    def settings(self) -> Any:
        """See ``CaseSource``."""
        return self.names, self.derived, self.label, self.frame_uid, self.score_cut

    def load(self) -> LoadedCase:
        """See ``CaseSource``."""
        structures, match, notes = self._chosen()
        series = match.series
        volume = read_volume(series)
        drawn, more = self._filled(structures, match)
        notes = (*notes, *match.notes, *series.notes, *volume.notes, *more)
        image, drawn = _in_canonical(volume.voxels, drawn, series)
        masks, complete, of_derived = self._with_derived(drawn, image)
        notes = (*notes, *of_derived)
        if wrong := wrong_sides(masks, image):
            raise DataError(
                f"case {self.id}: wanted structures on the side that their names say; found {'; '.join(wrong)}; "
                "were they named wrongly, or is the CT mirrored? correct the structure set, or the names file"
            )
        return LoadedCase(self.sites[0], image, masks, complete, (*notes, *second_look(masks, image)))

    def _with_derived(
        self, drawn: Mapping[str, Mask], image: Image
    ) -> tuple[dict[str, Mask], tuple[str, ...], tuple[str, ...]]:
        """Masks by standard name, drawn and derived; those of them to be scored; and notes."""
        derivation = derive_all(parse_formulas(dict(self.derived)), drawn, image.frame.spacing_mm)
        masks = {name: mask for name, mask in drawn.items() if name in STRUCTURES} | dict(derivation.masks)
        if not masks:
            raise EmptyMaskError(
                f"case {self.id}: wanted masks of {', '.join(dict(self.derived))}; found none that can be derived; "
                f"{'; '.join(derivation.notes)}"
            )
        complete = complete_masks({**drawn, **derivation.masks}, score_cut=self.score_cut)
        for name, parts in derivation.made_of.items():
            if not set(parts) <= set(complete):
                complete = tuple(other for other in complete if other != name)
        return masks, tuple(name for name in complete if name in masks), derivation.notes

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
        if self.frame_uid:
            matches = {n: match for n, match in matches.items() if self._is_of_frame(match)}
        if not matches:
            raise CaseLeftOutError("; ".join(["no structure set that can be taken on this CT of several", *notes]))
        choice = choose_structure_set([sets[place] for place in matches], self.label)
        notes += [f"another structure set was not taken: {reason}" for _, reason in choice.losers]
        place = next(place for place in matches if sets[place] is choice.chosen)
        return choice.chosen, matches[place], tuple(notes)

    def _is_of_frame(self, match: Match[CtSeries]) -> bool:
        return match.series.frame_of_reference_uid == self.frame_uid

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
        """Masks [k, r, c] by standard name or own name in quotes, and what became of the other ROIs."""
        notes = list(structures.notes)
        rois, unnamed = self._named(structures, match)
        masks = {}
        for standard, numbers in rois.items():
            said = "an operand of a formula" if standard.startswith("'") else standard
            if len(numbers) > 1:
                listed = " and ".join(f"ROI {number}" for number in numbers)
                notes.append(f"{said}: not taken, since {listed} both mean it")
                continue
            try:
                filled = fill_structure(
                    structures.rois[numbers[0]],
                    match.series.stack,
                    match.series.sop_instance_uids,
                    match.series.frame_numbers,
                )
            except DataError as error:
                notes.append(f"{said}: not taken: {error}")
            else:
                masks[standard] = filled.mask
                notes += [f"{said}: {note}" for note in filled.notes]
        if unnamed:
            notes.append(f"without a standard or confirmed name, not taken: {unnamed} of {len(structures.rois)} ROIs")
        if not rois:
            raise CaseLeftOutError("; ".join(["no structure with a standard or confirmed name", *notes]))
        if not masks:
            raise EmptyMaskError(
                f"case {self.id}: wanted masks of {_listed(rois)}; found none that can be taken; {'; '.join(notes)}"
            )
        return masks, notes

    def _named(self, structures: StructureSet, match: Match[CtSeries]) -> tuple[dict[str, list[int]], int]:
        """Numbers of the ROIs to take by standard name or, in a formula, own name in quotes; how many have neither."""
        own = dict(self.names)
        formulas = parse_formulas(dict(self.derived))
        wanted = {part.name for formula in formulas.values() for part in operands(formula) if part.own}
        rois: dict[str, list[int]] = {}
        unnamed = 0
        for name, roi in structures.by_name.items():
            standard = own.get(name, name if name in STRUCTURES else None)
            unnamed += standard is None and name not in wanted
            if roi.number in match.foreign_rois:
                continue
            for key in (standard, f"'{name}'" if name in wanted else None):
                if key:
                    rois.setdefault(key, []).append(roi.number)
        return rois, unnamed


def _listed(rois: Mapping[str, Sequence[int]]) -> str:
    """Standard names; of what bears an own name, only that it is there."""
    return ", ".join(dict.fromkeys("a ROI of a formula" if key.startswith("'") else key for key in rois))


def _contour_images(structures: StructureSet) -> frozenset[str]:
    return frozenset().union(*(roi.image_uids for roi in structures.rois.values()))


def _in_canonical(voxels: NDArray[Any], drawn: Mapping[str, Mask], series: CtSeries) -> tuple[Image, dict[str, Mask]]:
    """Image and masks in canonical orientation; what is uneven or tilted is carried onto an even grid."""
    image, regular = canonical_image(voxels, series.stack)
    return image, {name: canonical_mask(mask, series.stack, regular) for name, mask in drawn.items()}
