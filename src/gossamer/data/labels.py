"""Label space: the structures of a federation in a fixed order, under standard names.

Laterality is parsed from a name before anything is looked up, and a side is never guessed: a left organ can become
only a left one, and names that look alike are suggested, not taken.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, cached_property

from gossamer.data.tg263 import STRUCTURES
from gossamer.errors import UnknownStructureError

SIDE_WORDS = {
    "L": "l lt lf left li links linke linker linkes gauche g izquierda izquierdo izq sinistra sinistro sin sx",
    "R": "r rt right re rechts rechte rechter rechtes droite droit d dte derecha derecho der dcha destra destro dx",
}
"""How a side is written in English, German and Dutch, French, Spanish and Italian."""

_SIDE_OF_WORD = {word: side for side, words in SIDE_WORDS.items() for word in words.split()}

_ELISION = re.compile(r"(?<![a-z])(l|d|dell|nell)['’]", re.IGNORECASE)
"""French and Italian articles, whose l is no side."""

_WORD = re.compile(r"[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+\d*|\d+|[~^!+]")
"""Words of ``Parotid_L``, ``LeftParotid``, ``LParotid``; the L of ``VB_L5`` stays with its number.

So do the marks by which TG-263 tells a part or a variant (``Lung~_L``) from the whole organ.
"""

_BETWEEN_WORDS = re.compile(r"(?<!\d) | (?!\d)")
"""Not between two numbers: a first rib that was drawn again (``rib 1 left 1``) is not the eleventh."""

_Key = tuple[str, frozenset[str]]
"""Words without those for a side, and the sides found."""


@dataclass(frozen=True)
class LabelSpace:
    """Structures in the order of the network's outputs.

    Attributes:
        structures: standard names; unique ignoring case.
    """

    structures: tuple[str, ...]

    def __post_init__(self) -> None:
        if len({name.casefold() for name in self.structures}) < len(self.structures):
            raise UnknownStructureError(
                f"wanted each structure once, ignoring case; found {', '.join(self.structures)}; take the copies out"
            )

    def index(self, name: str) -> int:
        """The place of a structure.

        Raises:
            UnknownStructureError: it is not in the label space.
        """
        if name not in self.structures:
            nearest = [near for near in nearest_names(name) if near in self.structures]
            known = f"nearest: {', '.join(nearest)}" if nearest else f"it has {', '.join(self.structures)}"
            raise UnknownStructureError(f"wanted a structure of the label space; found {name!r}; {known}")
        return self.structures.index(name)

    @cached_property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Places of left and right partners: what a mirrored patient swaps."""
        return tuple(
            (place, self.structures.index(partner))
            for place, name in enumerate(self.structures)
            if name.endswith("_L") and (partner := f"{name[:-2]}_R") in self.structures
        )


def standard_name(name: str) -> str:
    """The standard name of a structure.

    Args:
        name: as a hospital or a public data set writes it: ``Lt Parotid``, ``Ohrspeicheldrüse links``.

    Raises:
        UnknownStructureError: it is no known name, or not clear which side is meant; the nearest names are given.
    """
    if name in STRUCTURES:
        return name
    for key in _keys(name):
        if key in _known():
            return _known()[key]
    nearest = nearest_names(name)
    known = f"nearest: {', '.join(nearest)}; " if nearest else ""
    raise UnknownStructureError(
        f"wanted the name of a structure; found {name!r}; {known}'gossamer names list' shows all names"
    )


def require_standard_name(name: str, what: str) -> None:
    """Refuse any name but a standard one.

    Args:
        name: to be checked.
        what: how messages call the place it stands in.

    Raises:
        UnknownStructureError: it is another name of a structure, or none.
    """
    try:
        standard = standard_name(name)
    except UnknownStructureError as error:
        raise UnknownStructureError(f"{what}: {error}") from error
    if standard != name:
        raise UnknownStructureError(f"{what}: wanted standard names; found {name!r}; use {standard}")


def nearest_names(name: str) -> tuple[str, ...]:
    """Standard names most like ``name``, best first, never of the other side."""
    (words, sides), *_ = _keys(name)
    allowed: dict[str, list[str]] = {}
    for (known_words, _), standard in _known().items():
        side = STRUCTURES[standard].side
        if side is None or not sides or side in sides:
            allowed.setdefault(known_words, []).append(standard)
    found: dict[str, None] = {}
    for close in get_close_matches(words, allowed, n=8, cutoff=0.7):
        found.update(dict.fromkeys(allowed[close]))
    return tuple(found)[:4]


def letters_apart(name: str, standard: str) -> int:
    """How many letters turn ``name`` into one of the names of a structure, sides apart.

    A letter is put in, left out or exchanged, or two neighbours change places (optimal string alignment distance).

    Args:
        name: as a hospital writes it.
        standard: of the table.
    """
    written, *_ = _keys(name)
    return min(_edits(written[0], words) for words in _words_of()[standard])


@cache
def _words_of() -> dict[str, list[str]]:
    """The words of each structure's names, written together in their order."""
    words: dict[str, list[str]] = {}
    for row in STRUCTURES.values():
        words[row.name] = list(dict.fromkeys(_keys(other)[0][0] for other in (row.root, *row.synonyms)))
    return words


def _edits(one: str, other: str) -> int:
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, start=1):
        before, last, row = row, before, [i]
        for j, wanted in enumerate(other, start=1):
            fewest = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != wanted))
            if last and j > 1 and one[i - 2] == wanted and letter == other[j - 2]:
                fewest = min(fewest, last[j - 2] + 1)
            row.append(fewest)
    return row[-1]


@cache
def _known() -> dict[_Key, str]:
    """Standard names by all keys they are known under."""
    known = {}
    for row in STRUCTURES.values():
        for other in (row.root, *row.synonyms):
            for words, sides in _keys(other):
                known[words, frozenset((row.side,)) if row.side else sides] = row.name
    return known


def _keys(name: str) -> tuple[_Key, ...]:
    """What a name is looked up by: its words in their order, then sorted, without the side."""
    plain = unicodedata.normalize("NFKD", name.replace("ß", "ss").replace("œ", "oe").replace("Œ", "OE"))
    plain = _ELISION.sub("", "".join(letter for letter in plain if not unicodedata.combining(letter)))
    words = [word.lower() for word in _WORD.findall(plain)]
    sides = frozenset(_SIDE_OF_WORD[word] for word in words if word in _SIDE_OF_WORD)
    rest = [word for word in words if word not in _SIDE_OF_WORD]
    return (_BETWEEN_WORDS.sub("", " ".join(rest)), sides), (" ".join(sorted(rest)), sides)
