"""Named warnings where a CT is unlike what the model learned, or what was found in it is absurd.

Nothing is corrected and nothing refused: a warning says what was wanted, what was found and what to do, in standard
names and numbers only. What each name means, how often it comes rightly and wrongly, and what no check can see stands
in docs/concepts/unlike-cts.md, with the command that measures it.

The image is asked first (``hu``, ``orientation``, ``spacing``, ``extent``, ``cut``), then what was found in it
(``body-part``, ``cut``, ``volume``, ``position``, ``contrast``). Where the image's numbers are no HU, nothing else is
asked of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from gossamer.data.arrangement import misplaced
from gossamer.data.body import Body, find_body
from gossamer.data.frame import Frame
from gossamer.data.hu_scale import scale_faults
from gossamer.data.image import Image
from gossamer.data.laterality import wrong_sides
from gossamer.data.learned import HU_PER_MILLE, Learned, RangeZYX
from gossamer.data.places import Place, place_of
from gossamer.data.plan import Plan
from gossamer.data.plausible import VOLUMES_ML, implausible_volumes, is_whole, usual_ml, with_body
from gossamer.data.tg263 import STRUCTURES
from gossamer.data.upright import cut_faces, lying_faults
from gossamer.errors import ConfigurationError
from gossamer.segment.model_file import Model

Name = Literal["hu", "orientation", "spacing", "extent", "cut", "body-part", "volume", "position", "contrast"]

Thinned = Mapping[str, NDArray[np.bool_]]

NAMES: tuple[Name, ...] = get_args(Name)
"""Stable; scripts may ask for them."""

SPACING_FACTOR = 1.5
"""How far beyond the training data's range a spacing may lie: every CT is brought to one grid anyway."""

COARSER = 2.0
"""Than the plan's grid, which is the training data's median or coarser; held against where nothing else is known."""

EXTENT_FACTOR = 2.0
"""How far beyond the training data's range the scanned length may lie: a longer scan holds more than the region."""

CUT_END = 0.6
"""Of a structure's largest slice. Scans that end with a structure's tapering end are below (of 168 training patients'
CTs as they are two are above, both cut by the clinics' contours too), those that go through its middle mostly above."""

CUT_SIDE = 0.2
"""Of the body's largest cut along an axis: arms at the field of view's edge are an eighth."""

USUALLY_DRAWN = 0.85
"""Of the training cases: what was drawn in so many belongs to the region."""

LEAST_FOUND = 0.5
"""Of the smallest plausible volume: less of what belongs to the region is as good as nothing."""

LEAST_USUAL = 0.5
"""Of the structures that can be judged: so many at least are as large as usual where a model is in its own region."""

_RUNS_ON = """
    Brainstem Larynx SpinalCord SpinalCanal CaudaEquina Esophagus Trachea A_Carotid_L A_Carotid_R A_Aorta V_Venacava_S
    V_Venacava_I V_Portal V_Iliac_Cmn_L V_Iliac_Cmn_R A_Iliac_Cmn_L A_Iliac_Cmn_R GreatVes BrachialPlex_L BrachialPlex_R
    BrachialPlexs Skin Bowel Bowel_Large Bowel_Small Bag_Bowel Colon Humerus_L Humerus_R Femur_L Femur_R Ribs
    Bone_Pelvic Scapula_L Scapula_R Sternum Musc_Sclmast_L Musc_Sclmast_R Musc_Constrict Pharynx Lungs Lung_L Lung_R
    Brain Skull
"""
"""What scans of a region often cut: it runs on beyond the region, fills it, or lies where scans use to end. Of the 200
OpenKBP patients' contours, the cord is cut in 43 %, the brainstem in 37, the oesophagus in 13, parotids and mandible in
1 or 2. The larynx is drawn where it is whole; a model found it in the first slice of 14 of 42 training CTs."""

RUNS_ON = frozenset(_RUNS_ON.split()) | {name for name in STRUCTURES if name.startswith(("VB_", "Rib0", "Rib1"))}

CUT_MATTERS = STRUCTURES.keys() - RUNS_ON


@dataclass(frozen=True)
class CtWarning:
    """One warning.

    Attributes:
        name: which check.
        text: what was wanted, what was found, and what to do; nothing of the patient's own.
    """

    name: Name
    text: str

    def __str__(self) -> str:
        return f"{self.name}: {self.text}"


def ct_warnings(image: Image, masks: Mapping[str, NDArray[np.bool_]], model: Model) -> tuple[CtWarning, ...]:
    """All warnings of a CT and what a model found in it; () for a CT like those it learned from.

    Args:
        image: the CT, in canonical orientation.
        masks: that the model made of it: by structure bool [z, y, x], empty where nothing was found.
        model: its plan, and what it learned where its file says so.
    """
    body = find_body(image)
    return _all(image.frame, body, *_found(image.frame, body, masks), model)


def held_back(names: Collection[str]) -> frozenset[Name]:
    """Warnings by their names, as a person wrote them.

    Raises:
        ConfigurationError: one is no name of a warning.
    """
    chosen = frozenset(name for name in NAMES if name in set(names))
    if unknown := sorted(set(names) - chosen):
        raise ConfigurationError(
            f"wanted names of warnings, of {', '.join(NAMES)}; found {', '.join(map(repr, unknown))}; correct hold_back"
        )
    return chosen


@dataclass(frozen=True)
class Remarks:
    """What a reader of a prediction should know.

    Attributes:
        warnings: of the CT, and of what was found in it.
        cut: structures of which the scan holds a part only.
        not_asked: what could not be asked of this model.
    """

    warnings: tuple[CtWarning, ...]
    cut: tuple[str, ...]
    not_asked: tuple[str, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences in standard names and numbers; a warning begins with ``warning,`` and its name."""
        return (
            *(f"warning, {warning}" for warning in self.warnings),
            *([f"the scan holds a part only of {', '.join(self.cut)}"] if self.cut else []),
            *(f"not asked: {text}" for text in self.not_asked),
        )


def remarks_on(image: Image, masks: Mapping[str, NDArray[np.bool_]], model: Model) -> Remarks:
    """All that is to be said of a prediction.

    Args:
        image: the CT, in canonical orientation.
        masks: that the model made of it.
        model: its plan, and what it learned where its file says so.
    """
    body = find_body(image)
    found, thinned = _found(image.frame, body, masks)
    cut = tuple(name for name, place in found.items() if max(place.ends) > CUT_END)
    return Remarks(_all(image.frame, body, found, thinned, model), cut, tuple(not_asked(model)))


def image_warnings(image: Image, model: Model) -> tuple[CtWarning, ...]:
    """What can be said before anything is predicted; the first part of ``ct_warnings``."""
    return tuple(_of_image(image.frame, find_body(image), model))


def because(image: Image, model: Model) -> str:
    """What to add to a message that nothing was found: the image's own warnings in brackets, or ""."""
    warnings = "; ".join(map(str, image_warnings(image, model)))
    return f" ({warnings})" if warnings else ""


def not_asked(model: Model) -> tuple[str, ...]:
    """Which checks a model file lacks the numbers for, in words; () if none."""
    learned = model.learned
    if learned is None:
        return (
            "extent, contrast and fine spacing: the model file does not say what the training data were like; coarse "
            "spacing is held against the model's own grid",
        )
    lacking = {
        "spacing": None in learned.spacing_mm,
        "extent": learned.extent_mm[0] is None,
        "contrast": learned.hu is None,
    }
    return tuple(f"{name}: the model was trained on too few cases to say" for name, lacks in lacking.items() if lacks)


def _of_image(frame: Frame, body: Body, model: Model) -> Iterator[CtWarning]:
    if faults := [*scale_faults(body)]:
        remedy = "is it a CT in HU? look at slope and intercept, and export it again"
        yield CtWarning("hu", f"{'; '.join(faults)}; {remedy}")
        return
    for fault in lying_faults(body):
        yield CtWarning("orientation", f"{fault}; export the CT again, or turn it, and do not use these contours")
    learned = model.learned or _of_plan(model.plan)
    yield from _of_size("spacing", frame.spacing_mm, learned.spacing_mm, SPACING_FACTOR)
    yield from _of_size("extent", frame.extent_mm[:1], learned.extent_mm, EXTENT_FACTOR)
    _, y, x = cut_faces(body)
    if max(y, x) > CUT_SIDE:
        share, side = max((y, "in front or behind"), (x, "at a side"))
        yield CtWarning(
            "cut",
            f"wanted the body within the field of view; found {100 * share:.0f} % of its largest section cut off "
            f"{side}; reconstruct the CT with a larger field of view, or do not trust contours near that edge",
        )


def _of_plan(plan: Plan) -> Learned:
    """What can be said of training data of which only the plan is known: hardly coarser than its grid."""
    z, y, x = ((0.0, s * COARSER / SPACING_FACTOR) for s in plan.spacing_mm)
    return Learned(cases=0, spacing_mm=(z, y, x), extent_mm=(None, None, None))


def _of_size(name: Name, found_mm: tuple[float, ...], learned_mm: RangeZYX, factor: float) -> Iterator[CtWarning]:
    for axis, found, wanted in zip("zyx", found_mm, learned_mm, strict=False):
        if wanted is not None and not wanted[0] / factor <= found <= wanted[1] * factor:
            yield CtWarning(
                name,
                f"wanted about {wanted[0]:.4g} to {wanted[1]:.4g} mm along {axis}, as the model has learned; found "
                f"{found:.4g} mm; look at the header, and review these contours as those of another kind of CT",
            )


def _found(frame: Frame, body: Body, masks: Mapping[str, NDArray[np.bool_]]) -> tuple[dict[str, Place], Thinned]:
    """Where each structure lies, and its mask on the body's coarse grid; each is unpacked once."""
    found, thinned = {}, {}
    for name in masks:
        mask = masks[name]
        if (place := place_of(mask, frame)) is not None:
            found[name], thinned[name] = place, body.thinned(mask)
    return found, thinned


def _all(frame: Frame, body: Body, found: Mapping[str, Place], thinned: Thinned, model: Model) -> tuple[CtWarning, ...]:
    of_image = tuple(_of_image(frame, body, model))
    if any(warning.name == "hu" for warning in of_image):
        return of_image
    return (*of_image, *_of_masks(body, found, thinned, model))


def _of_masks(body: Body, found: Mapping[str, Place], thinned: Thinned, model: Model) -> Iterator[CtWarning]:
    yield from _of_missing(found, model)
    yield from _of_region(found, model)
    yield from _of_cuts(found)
    for text in implausible_volumes({name: place for name, place in found.items() if _is_judged(name, place)}):
        yield CtWarning("volume", f"{text}; correct it, or leave it out")
    for text in (*misplaced(with_body(found), thinned, body), *wrong_sides(thinned, body.image)):
        yield CtWarning("position", f"{text}; is the CT the right way round? do not use these contours unseen")
    if model.learned is not None and model.learned.hu is not None:
        yield from _of_contrast(body, thinned, model.learned.hu)


def _of_missing(found: Mapping[str, Place], model: Model) -> Iterator[CtWarning]:
    """What nearly every training case has, and this CT has not."""
    cases = sum(model.record.sites.values())
    for name in model.plan.structures:
        drawn = model.record.annotated.get(name, 0)
        least_ml = LEAST_FOUND * VOLUMES_ML.get(name, (0.0, 0.0))[0]
        found_ml = found[name].volume_ml if name in found else 0.0
        if drawn >= USUALLY_DRAWN * cases > 0 and found_ml <= least_ml:
            yield CtWarning(
                "body-part",
                f"{name}: wanted it in the CT, as in {drawn} of {cases} training cases; found {found_ml:.2g} ml; does "
                "the CT show all of the region that the model knows, the right way up?",
            )


def _is_judged(name: str, place: Place) -> bool:
    """Whether a volume says something: of what may lie mostly beyond the scan, only one that is too large."""
    return name in CUT_MATTERS or place.volume_ml > VOLUMES_ML.get(name, (0.0, 0.0))[0]


def _of_region(found: Mapping[str, Place], model: Model) -> Iterator[CtWarning]:
    """Whether the model found what it knows. What is cut can not be judged, nor what may begin beyond the scan."""
    judged = {
        name: usual_ml(name)
        for name in model.plan.structures
        if usual_ml(name) is not None and (is_whole(found[name]) if name in found else name not in RUNS_ON)
    }
    usual = [
        name
        for name, limits in judged.items()
        if limits is not None and name in found and limits[0] <= found[name].volume_ml <= limits[1]
    ]
    if len(judged) > 1 and len(usual) < LEAST_USUAL * len(judged):
        others = ", ".join(name for name in judged if name not in usual)
        yield CtWarning(
            "body-part",
            f"wanted most structures of the model as large as usual; found {len(usual)} of {len(judged)} (not: {others}"
            "); does the CT show the region that the model knows, the right way up?",
        )


def _of_cuts(found: Mapping[str, Place]) -> Iterator[CtWarning]:
    for name, place in found.items():
        for end, share in zip(("first", "last"), place.ends, strict=True):
            if share > CUT_END and name in CUT_MATTERS:
                yield CtWarning(
                    "cut",
                    f"{name}: wanted it to end within the scan; found {100 * share:.0f} % of its largest section in "
                    f"the {end} slice ({'bottom' if end == 'first' else 'top'}); its volume and dose are of a part",
                )


def _of_contrast(body: Body, thinned: Thinned, learned_hu: tuple[int, ...]) -> Iterator[CtWarning]:
    """The middle HU inside the structures found, against the middle nine tenths of all voxels learned from.

    Less of them would not do: where hospitals scan in phases of their own, the middle of one lies beyond the quartiles
    of all.
    """
    inside = np.logical_or.reduce([*thinned.values(), np.zeros(body.hu.shape, dtype=np.bool_)])
    if not inside.any():
        return
    middle = float(np.median(body.hu[inside]))
    low, high = (learned_hu[HU_PER_MILLE.index(p)] for p in (50, 950))
    if not low <= middle <= high:
        yield CtWarning(
            "contrast",
            f"wanted a middle of {low} to {high} HU inside structures, as in the training data; found {middle:.0f} HU; "
            "is it a CT with another contrast, energy or scale?",
        )
