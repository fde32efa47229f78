"""The page of one case: pictures with contours, and what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from gossamer.data.boxed_mask import BoxedMask
from gossamer.data.image import Image
from gossamer.qa.facts import CaseFacts
from gossamer.qa.page import environment
from gossamer.qa.pictures import colours_of, plane_svg
from gossamer.qa.planes import AXIAL, CORONAL, Plane, choose_planes

KINDS = ("Axial", "Coronal", "Sagittal")


@dataclass(frozen=True)
class Picture:
    """A plane with the words beneath.

    Attributes:
        kind: axial, coronal or sagittal.
        where: its place in the scan.
        structures: what is seen in it.
    """

    svg: Markup
    kind: str
    where: str
    structures: tuple[str, ...]


def render_case(
    site: str,
    facts: CaseFacts,
    image: Image,
    drawn: Mapping[str, BoxedMask],
    *,
    found: Mapping[str, BoxedMask],
    structures: Sequence[str],
) -> str:
    """A case's page as HTML, whole in itself.

    Args:
        site: the hospital.
        facts: of the case.
        image: its CT.
        drawn: its structures.
        found: the same as a model found them; may be empty.
        structures: all that were drawn at this hospital, so that a structure has one colour on all pages.
    """
    colours = colours_of([*structures, *(name for name in found if name not in structures)])
    pictures = [
        _picture(
            plane,
            image,
            drawn,
            plane_svg(image, plane, drawn, found=found, colours=colours, title=_title(facts, plane)),
        )
        for plane in choose_planes(drawn, image.frame.shape)
    ]
    return environment().get_template("case.html.j2").render(
        site=site,
        facts=facts,
        colours=colours,
        overview=[picture for picture in pictures if picture.kind != KINDS[AXIAL]],
        axial=[picture for picture in pictures if picture.kind == KINDS[AXIAL]],
        not_drawn=[name for name in structures if name not in drawn],
        found=list(found),
    )  # fmt: skip


def _title(facts: CaseFacts, plane: Plane) -> str:
    return f"Case {facts.case}, {KINDS[plane.axis].lower()} plane {plane.index + 1}"


def _picture(plane: Plane, image: Image, drawn: Mapping[str, BoxedMask], svg: Markup) -> Picture:
    planes, step_mm = image.frame.shape[plane.axis], image.frame.spacing_mm[plane.axis]
    if plane.axis == AXIAL:
        where = f"slice {plane.index + 1} of {planes} from the feet, {plane.index * step_mm:.1f} mm above the lowest"
    else:
        side = "front" if plane.axis == CORONAL else "right"
        where = f"{plane.index * step_mm:.0f} mm from the image's {side}"
    seen = tuple(name for name, mask in drawn.items() if mask.plane(plane.axis, plane.index, image.frame.shape).any())
    return Picture(svg, KINDS[plane.axis], where, seen)
