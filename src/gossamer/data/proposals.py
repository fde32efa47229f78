"""What a hospital's own names may mean: proposals for a person to confirm, never taken by themselves.

Law
    1. A target, a part of an organ, what is drawn for dose optimisation, or an organ less something is no organ at
       risk: nothing is proposed for it, however much its name is like one.
    2. A side is read, never guessed: where a name has none and its nearest structures have, nothing is proposed.
    3. A number is read, too: no vertebra or rib is proposed whose number the name does not have.
    4. A name is misspelt by a letter or two; whatever has a word more ("Prostate bed", "Cord ant") is something else,
       unless the word says nothing of what was drawn.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from gossamer.data.labels import SIDE_WORDS, letters_apart, nearest_names, standard_name
from gossamer.data.tg263 import STRUCTURES
from gossamer.errors import UnknownStructureError

How = Literal["standard", "synonym", "similar", "unknown", "not an organ"]

_NO_ORGAN = re.compile(
    r"""
    ^(_|z_|(?-i:z(?=[A-Z])))             # not for dose evaluation (TG-263, 8.2)
    | [~^!]                          # a part, a variant (TG-263, 8.2)
    | (?<![a-z]) i?(g|c|p|i)tv       # targets, and organs less a target
    | (?<![a-z]) prv | prv (?![a-z])   # an organ with a margin
    | \d \s* (mm|cm|gy|cgy|%)        # margins, rings and doses
    | (?<![a-z]) (ring|dose|isodose|bolus|couch|table|marker|avoid|body|artefact|artifact) (?![a-z])
    | (?<![a-z]) external (?! [a-z] | [\W_]* genital)
    | \w \s* \+ \s* \d               # an organ with a margin
    """,
    re.VERBOSE | re.IGNORECASE,
)


_SAYS_NOTHING = re.compile(
    r"""
    [\s_.-]+ (new|neu|nuevo|nuovo|old|alt|copy|kopie|copie|final|edit|edited|v?\d{1,2}|c\d\d) $   # drawn again
    | (?<=[^\W\d_]) \d $                    # likewise
    | ^ (study|oar|organ) [\s_.-]+
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""What stands beside a name and says nothing of what was drawn."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

_OF_OPTIC = frozenset(["n", "nn", "nrv", "nerv", "nerve", "nerves", "nervus", "chiasm", "chiasma"])
"""Words beside which "opt" stands for the optic nerve or chiasm; else it is for dose optimisation."""

_OPTIC = frozenset(["optic", "optico", "optique", "ottico", "opticus"])

_SIDE_AT_AN_END = (
    re.compile(r"(?P<side>[lr]t?)[\s_.]*(?P<organ>[^\W\d_]{3,})", re.IGNORECASE),
    re.compile(r"(?P<organ>[^\W\d_]{3,})(?P<side>[lrgd]|lt|rt|li|re|gauche|droite|dte)", re.IGNORECASE),
)
"""A side written together with its organ: ``Llens``, ``parotideg``."""

LETTERS_A_MISTAKE, MOST_MISTAKES = 6, 2
"""Of a name's letters: for each so many one may be wrong, and one of five; three wrong ones are another word."""

_LETTER_ALONE = re.compile(r"(?<![^\W_])[^\W\d_](?![^\W_])")
"""A word of one letter; where the standard name lacks it (``Esophagus_S``) it says which part, or who drew."""

_BOTH = frozenset(["both", "combined", "total", "whole", "bilateral", "bilat"])
"""Words that make a pair of an organ, or nothing of what is one already."""

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
    if _NO_ORGAN.search(stripped) or _is_for_optimisation(stripped):
        return Proposal(name, None, "not an organ")
    if known := _known_as(stripped):
        return Proposal(name, known, "synonym")
    shorter = _shorter(stripped)
    for other in shorter:
        if known := _known_as(other) or _with_side_at_an_end(other) or _pair(other):
            return Proposal(name, known, "similar")
    nearest = nearest_names(stripped)
    words = set(re.findall(r"[^\W\d_]+", stripped.lower()))
    fitting = [
        near
        for near in nearest
        if any(_is_misspelt(other, near) for other in shorter)
        and _numbers(near) <= _numbers(stripped)
        and _has_side_of(near, words)
    ]
    # Nearest names are never of the other side (``nearest_names``); if both sides are among them, the name has none.
    sides = {side for near in fitting if (side := STRUCTURES[near].side)}
    if not fitting or len(sides) > 1:
        return Proposal(name, None, "unknown", nearest)
    return Proposal(name, fitting[0], "similar", tuple(near for near in nearest if near != fitting[0]))


def _is_for_optimisation(name: str) -> bool:
    """Whether "opt" in a name is for dose optimisation: ``Lt Lens Opt``, but not ``Opt Nerve L``."""
    words = {word.lower() for word in _WORD.findall(name)}
    return "opt" in words and (not words & _OF_OPTIC or bool(words & _OPTIC))


def _shorter(name: str) -> list[str]:
    """A name, and without one after the other that says nothing of what was drawn: a count, a word like "new"."""
    names = [name]
    while (shorter := _SAYS_NOTHING.sub("", names[-1], count=1)) not in names:
        names.append(shorter)
    return names


def _pair(name: str) -> str | None:
    """The pair that a name means: ``Parotids`` of "combined parotid"; an organ that has no sides is itself one."""
    words = name.split()
    rest = " ".join(word for word in words if word.lower() not in _BOTH)
    if len(rest) == len(" ".join(words)):
        return None
    left = _known_as(f"{rest} left")
    return f"{STRUCTURES[left].root}s" if left and f"{STRUCTURES[left].root}s" in STRUCTURES else _known_as(rest)


def _with_side_at_an_end(name: str) -> str | None:
    """The structure of a name whose side is written together with it; law 2 holds: it is read."""
    for pattern in _SIDE_AT_AN_END:
        if (parts := pattern.fullmatch(name)) and (known := _known_as(f"{parts['organ']} {parts['side']}")):
            return known if STRUCTURES[known].side else None
    return None


def _known_as(name: str) -> str | None:
    try:
        return standard_name(name)
    except UnknownStructureError:
        return None


def _is_misspelt(name: str, standard: str) -> bool:
    """Whether few letters are wrong (law 4)."""
    words = [word for word in re.findall(r"[^\W\d_]+", name.lower()) if word not in _SIDES]
    letters = sum(map(len, words))
    most = min(letters // LETTERS_A_MISTAKE or letters // (LETTERS_A_MISTAKE - 1), MOST_MISTAKES)
    letters_alone = {letter.lower() for letter in _LETTER_ALONE.findall(name)} - _SIDES
    return letters_alone <= set(standard.lower().split("_")) and letters_apart(name, standard) <= most


def _has_side_of(standard: str, words: set[str]) -> bool:
    """Whether a name has no side that a structure lacks, and the one that a lobe has."""
    sides = words & _SIDES
    if lobe := _LOBE.fullmatch(standard):
        return bool(sides) and sides <= set(SIDE_WORDS[lobe[1]].split())
    return not sides or STRUCTURES[standard].side is not None


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
