"""What a hospital's own names may mean: proposals for a person to confirm, never taken by themselves.

Law
    1. A target, a part of an organ, what is drawn for dose optimisation, or an organ less something is no organ at
       risk: nothing is proposed for it, however much its name is like one.
    2. A side is read, never guessed: where a name has none and its nearest structures have, nothing is proposed.
    3. A number is read, too: no vertebra or rib is proposed whose number the name does not have.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from gossamer.data.labels import SIDE_WORDS, nearest_names, standard_name
from gossamer.data.tg263 import STRUCTURES
from gossamer.errors import UnknownStructureError

How = Literal["standard", "synonym", "similar", "unknown", "not an organ"]

_NO_ORGAN = re.compile(
    r"""
    ^(_|z_|(?-i:z(?=[A-Z])))             # not for dose evaluation (TG-263, 8.2)
    | [~^!]                          # a part, a variant (TG-263, 8.2)
    | (?<![a-z]) i?(g|c|p|i)tv       # targets, and organs less a target
    | (?<![a-z]) prv                 # an organ with a margin
    | \d \s* (mm|cm|gy|cgy|%)        # margins, rings and doses
    | (?<![a-z]) (ring|dose|isodose|bolus|couch|table|marker|avoid|body|artefact|artifact) (?![a-z])
    | (?<![a-z]) external (?! [a-z] | [\W_]* genital)
    | \w \s* \+ \s* \d               # an organ with a margin
    """,
    re.VERBOSE | re.IGNORECASE,
)


_COUNTED = re.compile(r"([\s_.-]+(new|neu|nuevo|nuovo|old|alt|copy|kopie|copie|final|v?\d{1,2}))+$", re.IGNORECASE)
"""What is written behind a name where a structure was drawn again."""

_SIDES = frozenset(" ".join(SIDE_WORDS.values()).split())

_LOBE = re.compile(r"Lung_([LR])[A-Z]L")
"""Structures whose side stands within their names; to the table they have none."""


@dataclass(frozen=True)
class Proposal:
    """What a name may mean.

    Attributes:
        name: as the hospital writes it.
        standard: the structure; None where nothing is proposed.
        how: ``standard`` (it is the very name), ``synonym`` (our table knows it), ``similar`` (it looks like it),
            ``unknown``, or ``not an organ`` (law 1).
        nearest: other structures that it looks like, best first.
    """

    name: str
    standard: str | None
    how: How
    nearest: tuple[str, ...] = ()


def propose(name: str) -> Proposal:
    """What a name may mean.

    Args:
        name: of a ROI, as it stands in the structure set.
    """
    stripped = name.strip()
    if stripped in STRUCTURES:
        return Proposal(name, stripped, "standard")
    if _NO_ORGAN.search(stripped):
        return Proposal(name, None, "not an organ")
    try:
        return Proposal(name, standard_name(stripped), "synonym")
    except UnknownStructureError:
        if again := _drawn_again(stripped):
            return Proposal(name, again, "similar")
    nearest = nearest_names(stripped)
    words = set(re.findall(r"[^\W\d_]+", stripped.lower()))
    fitting = [near for near in nearest if _numbers(near) <= _numbers(stripped) and _lobe_fits(near, words)]
    # Nearest names are never of the other side (``nearest_names``); if both sides are among them, the name has none.
    sides = {side for near in fitting if (side := STRUCTURES[near].side)}
    if not fitting or len(sides) > 1:
        return Proposal(name, None, "unknown", nearest)
    if words & _SIDES:
        fitting.sort(key=lambda near: STRUCTURES[near].side is None)  # stable: a pair behind the organ of that side
    return Proposal(name, fitting[0], "similar", tuple(near for near in nearest if near != fitting[0]))


def _drawn_again(name: str) -> str | None:
    """The structure of a name that is known but for a count or a word like "new" behind it."""
    try:
        return standard_name(_COUNTED.sub("", name))
    except UnknownStructureError:
        return None


def _lobe_fits(standard: str, words: set[str]) -> bool:
    """Whether a name has the side of a lobe; true for all that is no lobe."""
    lobe = _LOBE.fullmatch(standard)
    sides = words & _SIDES
    return lobe is None or (bool(sides) and sides <= set(SIDE_WORDS[lobe[1]].split()))


def _numbers(name: str) -> set[int]:
    return {int(digits) for digits in re.findall(r"[0-9]+", name)}


def names_document(counts: Mapping[str, int], sets: int) -> str:
    """A names file with a proposal for each name, to be confirmed by a person.

    Args:
        counts: in how many structure sets each name was found.
        sets: how many there were.

    Returns:
        TOML as ``--names`` takes it; it is refused until ``confirmed`` is set to true.
    """
    lines = [
        f"# Names found in {sets:,} structure sets, and what they may mean (standard names: gossamer names list).",
        '# Look at each line and correct it; "" leaves a structure out. Then set:',
        "confirmed = false",
        "",
        "[names]",
    ]
    proposals = sorted(map(propose, counts), key=lambda it: (_ORDER.index(it.how), it.standard or "", it.name))
    for how in _ORDER:
        of_kind = [proposal for proposal in proposals if proposal.how == how]
        if of_kind:
            lines += ["", f"# {_TITLES[how]}"]
        lines += [_line(proposal, counts[proposal.name], sets) for proposal in of_kind]
    lines += ["", *_DERIVED]
    return "\n".join(lines) + "\n"


_DERIVED = (
    "# Structures made of others, if you want any; own names in single quotes:",
    "# [derived]",
    '# Lungs = "Lung_L + Lung_R"',
    """# SpinalCord = "'Cord PRV' - 5 mm\"""",
)
_TITLES: Mapping[How, str] = {
    "similar": "Only similar: look at these with care.",
    "unknown": "Unknown; left out unless you name them.",
    "synonym": "Known synonyms.",
    "standard": "Standard names.",
    "not an organ": "Targets, margins, parts, helpers: left out.",
}
_ORDER: tuple[How, ...] = tuple(_TITLES)


def _line(proposal: Proposal, count: int, sets: int) -> str:
    near = f"; like {', '.join(proposal.nearest)}" if proposal.nearest else ""
    return f'{_quoted(proposal.name)} = "{proposal.standard or ""}"  # in {count} of {sets}{near}'


def _quoted(name: str) -> str:
    """A TOML basic string (TOML 1.0, "String")."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08X}" for c in escaped) + '"'
