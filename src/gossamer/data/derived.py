"""Structures made of others: ``Lung_L + Lung_R``, ``'Lungs-GTV' + 'GTV'``, ``'Cord PRV' - 5 mm``.

Law
    1. ``+`` and ``-`` join and take away, from left to right; ``+ n mm`` and ``- n mm`` move the surface. Parentheses
       group. A bare word is a standard name, a quoted one a ROI's own; nothing else is known, and nothing is evaluated
       that is not in this grammar::

           sum     = part { ("+" | "-") ( part | number "mm" ) }
           part    = "(" sum ")" | name | "'" own name "'"

    2. Nothing is known of what was not drawn: a structure is derived only where all its operands are annotated, and
       it is complete only where all of them are.
    3. A margin is isotropic and exact on the grid: a voxel is within n mm of a structure if its centre is within n mm
       of the centre of one of its voxels, whatever the spacing. What lies beyond the image counts as neither in nor
       out, so the image's edge takes nothing away from an organ that it cuts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from gossamer.errors import ConfigurationError
from gossamer.units import ZYX

Mask = NDArray[np.bool_]

MAX_MARGIN_MM = 100.0
"""More is no margin of an organ, but a slip of the pen."""

MAX_CHARACTERS = 500
"""Of a formula; far more than anyone writes, and no stack is too small for its parts."""

MAX_DEPTH = 20
"""Of parentheses; far more than anyone writes, far less than Python's stack."""

SLAB_VOXELS = 2**23
"""Whose distances are computed at a time: 20 bytes each, so 160 MiB for a structure of any size."""

ROUNDING_MM = 1e-6
"""Voxels that lie at the margin's very end belong to it, whatever their distance was rounded to."""

_QUOTED = r"{q}\s*(?P<{kind}>[^{q}\s](?:[^{q}]*[^{q}\s])?)\s*{q}"

_TOKEN = re.compile(
    r"\s*(?:(?P<margin>\d+(?:\.\d+)?)\s*mm\b|(?P<name>[A-Za-z][A-Za-z0-9_~]*)|(?P<sign>[-+()])|"
    + "|".join(_QUOTED.format(q=quote, kind=kind) for quote, kind in (("'", "own"), ('"', "own2")))
    + ")"
)


@dataclass(frozen=True)
class Operand:
    """A structure that was drawn.

    Attributes:
        name: standard, or as the hospital's ROIs are called.
        own: whether it is a ROI's own name.
    """

    name: str
    own: bool

    @property
    def key(self) -> str:
        """What its mask is looked up by; no standard name has quotes."""
        return f"'{self.name}'" if self.own else self.name


@dataclass(frozen=True)
class Joined:
    """Both structures, or the first without the second."""

    left: Formula
    right: Formula
    less: bool


@dataclass(frozen=True)
class Moved:
    """A structure whose surface is moved outwards, or inwards if ``mm`` is negative."""

    of: Formula
    mm: float


Formula = Operand | Joined | Moved


def parse_formula(text: str, what: str) -> Formula:
    """Read a formula.

    Args:
        text: as in law 1.
        what: how messages call it, for example ``names file, derived Lungs``.

    Raises:
        ConfigurationError: it is not of that grammar; the place is given in characters, from 1.
    """
    if len(text) > MAX_CHARACTERS:
        raise ConfigurationError(
            f"{what}: wanted a formula of at most {MAX_CHARACTERS} characters; found {len(text):,}; derive it in steps"
        )
    parser = _Parser(text, what)
    formula = parser.sum(0)
    parser.end()
    return formula


def operands(formula: Formula) -> Iterator[Operand]:
    """The structures that a formula is made of, from left to right."""
    if isinstance(formula, Operand):
        yield formula
    elif isinstance(formula, Moved):
        yield from operands(formula.of)
    else:
        yield from operands(formula.left)
        yield from operands(formula.right)


@dataclass(frozen=True, eq=False)
class Derivation:
    """What became of the formulas in one case.

    Attributes:
        masks: of the structures derived, by standard name.
        made_of: the keys of their operands.
        notes: what was derived, and what was not, and why; without a ROI's own name.
    """

    masks: Mapping[str, Mask]
    made_of: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...]


def derive_all(formulas: Mapping[str, Formula], drawn: Mapping[str, Mask], spacing_mm: ZYX) -> Derivation:
    """Derive what can be derived in a case (law 2); what was drawn itself stays as it was drawn.

    Args:
        formulas: by standard name; each may use those before it.
        drawn: by ``Operand.key`` bool [z, y, x], on one grid.
        spacing_mm: of the grid, along z, y, x.
    """
    masks: dict[str, Mask] = {}
    made_of, notes = {}, []
    for name, formula in formulas.items():
        parts = tuple(dict.fromkeys(operand.key for operand in operands(formula)))
        known = {**drawn, **masks}
        if name in drawn:
            notes.append(f"{name}: drawn itself, so not derived")
        elif missing := [key for key in parts if key not in known]:
            what = missing[0] if not missing[0].startswith("'") else "a ROI of its formula"
            notes.append(f"{name}: not derived, since {what} is not drawn")
        elif not (mask := derive(formula, known, spacing_mm)).any():
            notes.append(f"{name}: not derived, since its formula leaves nothing")
        else:
            masks[name], made_of[name] = mask, parts
            notes.append(f"{name}: derived by its formula in the names file")
    return Derivation(masks, made_of, tuple(notes))


def derive(formula: Formula, masks: Mapping[str, Mask], spacing_mm: ZYX) -> Mask:
    """The mask of a derived structure.

    Args:
        formula: as parsed.
        masks: of all its operands by ``Operand.key``, bool [z, y, x] on one grid.
        spacing_mm: of the grid, along z, y, x.

    Returns:
        Mask bool [z, y, x]; may be empty, where one structure lies in what is taken away from it.
    """
    if isinstance(formula, Operand):
        return masks[formula.key]
    if isinstance(formula, Moved):
        return moved(derive(formula.of, masks, spacing_mm), formula.mm, spacing_mm)
    left, right = (derive(part, masks, spacing_mm) for part in (formula.left, formula.right))
    return left & ~right if formula.less else left | right


def moved(mask: Mask, mm: float, spacing_mm: ZYX) -> Mask:
    """A mask grown by a margin, or shrunk by a negative one (law 3).

    Args:
        mask: bool [z, y, x].
        mm: how far its surface moves outwards.
        spacing_mm: of the grid, along z, y, x.
    """
    result = np.zeros_like(mask) if mm > 0 else mask.copy()
    if mm == 0 or not mask.any():
        return result
    reach = [int(np.ceil(abs(mm) / step)) + 1 for step in spacing_mm]
    around = tuple(
        slice(max(low - more, 0), high + more)
        for (low, high), more in zip(_box(mask), reach if mm > 0 else (1, 1, 1), strict=True)
    )
    inner, part = mask[around], result[around]
    rows, columns = inner.shape[1:]
    thick = max(1, SLAB_VOXELS // (rows * columns))
    for first in range(0, len(inner), thick):
        top = max(first - reach[0], 0)
        slab = inner[top : first + thick + reach[0]]
        near = _within(slab if mm > 0 else ~slab, abs(mm), spacing_mm)[first - top :][:thick]
        part[first : first + thick] = near if mm > 0 else part[first : first + thick] & ~near
    return result


def _within(mask: Mask, mm: float, spacing_mm: ZYX) -> Mask:
    """Where a voxel of the mask is at most so far away, from centre to centre."""
    if not mask.any():
        return np.zeros_like(mask)
    return np.asarray(distance_transform_edt(~mask, sampling=spacing_mm) <= mm + ROUNDING_MM)


def _box(mask: Mask) -> list[tuple[int, int]]:
    """First voxel and the one behind the last along each axis."""
    sides = (np.flatnonzero(mask.any(axis=other)) for other in ((1, 2), (0, 2), (0, 1)))
    return [(int(side[0]), int(side[-1]) + 1) for side in sides]


class _Parser:
    """Reads a formula from left to right; ``at`` is the place of the next token."""

    def __init__(self, text: str, what: str) -> None:
        self._text = text
        self._what = what
        self._at = 0

    def sum(self, depth: int) -> Formula:
        formula = self._part(depth)
        while (sign := self._peek("sign")) in ("+", "-"):
            self._take("sign")
            if (margin := self._peek("margin")) is not None:
                formula = Moved(formula, self._mm(margin) * (1 if sign == "+" else -1))
                self._take("margin")
            else:
                formula = Joined(formula, self._part(depth, "a structure's name, or a length in mm"), less=sign == "-")
        return formula

    def end(self) -> None:
        if self._text[self._at :].strip():
            raise self._wrong("'+', '-' or the end")

    def _part(self, depth: int, wanted: str = "a structure's name") -> Formula:
        if self._peek("sign") == "(" and depth < MAX_DEPTH:
            self._take("sign")
            formula = self.sum(depth + 1)
            if self._peek("sign") != ")":
                raise self._wrong("')'")
            self._take("sign")
            return formula
        for kind in ("name", "own", "own2"):
            if (name := self._peek(kind)) is not None:
                self._take(kind)
                return Operand(name, own=kind != "name")
        raise self._wrong(wanted if depth < MAX_DEPTH else f"at most {MAX_DEPTH} parentheses")

    def _mm(self, text: str) -> float:
        if not 0 < float(text) <= MAX_MARGIN_MM:
            raise self._wrong(f"a margin above 0 mm, at most {MAX_MARGIN_MM:.0f} mm")
        return float(text)

    def _peek(self, kind: str) -> str | None:
        found = _TOKEN.match(self._text, self._at)
        return found[kind] if found else None

    def _take(self, kind: str) -> None:
        found = _TOKEN.match(self._text, self._at)
        assert found is not None
        assert found[kind] is not None
        self._at = found.end()

    def _wrong(self, wanted: str) -> ConfigurationError:
        rest = self._text[self._at :]
        place = self._at + len(rest) - len(rest.lstrip()) + 1
        found = repr(rest.strip()[:20]) if rest.strip() else "its end"
        return ConfigurationError(
            f"{self._what}: wanted {wanted} at character {place}; found {found}; write for example "
            "Lung_L + Lung_R, 'own name' - Liver, or SpinalCord + 5 mm (lengths in mm, own names in quotes)"
        )
