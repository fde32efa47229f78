"""Names of a source's structures to standard ones: by our table, after the hospital's own list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from gossamer.data.derived import Formula, operands, parse_formula
from gossamer.data.labels import require_standard_name, standard_name
from gossamer.documents import parse_toml
from gossamer.errors import ConfigurationError, DatasetError, UnknownStructureError
from gossamer.words import reason


class NamesFile(BaseModel):
    """A hospital's own names: TOML with a table ``[names]`` of ``"own name" = "standard name"``.

    Attributes:
        names: standard names by own ones; "" leaves a structure out.
        derived: by standard name the formula of a structure that is made of others; see ``data.derived``.
        confirmed: false in a list of proposals that nobody has looked at.
    """

    model_config = ConfigDict(extra="forbid")

    names: dict[str, str] = {}
    derived: dict[str, str] = {}
    confirmed: bool = True

    @property
    def formulas(self) -> dict[str, Formula]:
        """The derived structures' formulas, in the order of the file.

        Raises:
            ConfigurationError: a formula is not of the grammar, or names itself.
        """
        return parse_formulas(self.derived)


def read_names(path: Path) -> dict[str, str]:
    """Read a file of own names for a source whose structures come as they are.

    Raises:
        ConfigurationError: it cannot be read, is not of that form, not confirmed, or derives structures.
        UnknownStructureError: a value is no standard name.
    """
    file = read_names_file(path)
    if file.derived:
        raise ConfigurationError(
            f"names file: wanted names only; found {len(file.derived)} derived structures, which are made of DICOM "
            "structure sets alone; take the table 'derived' out"
        )
    return file.names


def read_names_file(path: Path) -> NamesFile:
    """Read a file of own names and derived structures.

    Raises:
        ConfigurationError: it cannot be read, is not of that form, not confirmed, or a formula is wrong.
        UnknownStructureError: a structure that is named or derived has no standard name.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"names file: wanted TOML in UTF-8; found: {reason(error)}; check --names") from error
    file = parse_toml(text, NamesFile, "names file")
    if not file.confirmed:
        raise ConfigurationError(
            "names file: wanted names that a person has looked at; found proposals, confirmed = false; "
            "correct each line that is wrong, then set confirmed = true"
        )
    for name in filter(None, file.names.values()):
        require_standard_name(name, "names file")
    for name, formula in file.formulas.items():
        require_standard_name(name, "names file, derived")
        for operand in operands(formula):
            if not operand.own:
                require_standard_name(operand.name, f"names file, derived {name} (put own names in quotes)")
    return file


def parse_formulas(derived: Mapping[str, str]) -> dict[str, Formula]:
    """Formulas by the structures that they derive.

    Args:
        derived: their texts; see ``data.derived``.

    Raises:
        ConfigurationError: one is not of the grammar, or names what it derives, or what is derived after it.
    """
    formulas: dict[str, Formula] = {}
    for name, text in derived.items():
        formulas[name] = parse_formula(text, f"names file, derived {name}")
        later = derived.keys() - (formulas.keys() - {name})
        if circular := [one.name for one in operands(formulas[name]) if not one.own and one.name in later]:
            raise ConfigurationError(
                f"names file, derived {name}: wanted structures that are drawn, or derived before it; found "
                f"{circular[0]}; change their order, or put a ROI's own name in quotes"
            )
    return formulas


def standard_names(
    names: Iterable[str],
    own: Mapping[str, str],
    *,
    skip_unknown: bool = False,
    remedy: str = "name them in a file for --names, or leave them out with --skip-unknown",
) -> dict[str, str]:
    """Standard names by the source's names.

    Args:
        names: as the source has them.
        own: a hospital's own list, looked at first; "" leaves a structure out.
        skip_unknown: leave out what has no standard name, instead of refusing.
        remedy: what the message says to do about unknown names.

    Raises:
        UnknownStructureError: names that have no standard one; all are listed, with the nearest.
        DatasetError: two names mean the same structure.
    """
    found: dict[str, str] = {}
    unknown = []
    for name in names:
        if own.get(name) == "":
            continue
        try:
            found[name] = own.get(name) or standard_name(name)
        except UnknownStructureError as error:
            unknown.append(f"  {error}")
    if unknown and not skip_unknown:
        raise UnknownStructureError(
            "wanted structures with standard names; found without:\n" + "\n".join(unknown) + f"\n{remedy}"
        )
    _require_distinct(found)
    return found


def _require_distinct(found: Mapping[str, str]) -> None:
    first: dict[str, str] = {}
    for name, standard in found.items():
        if standard in first:
            raise DatasetError(
                f"wanted one name a structure; found {first[standard]!r} and {name!r}, which both mean {standard}; "
                "say in a file for --names which of them it is"
            )
        first[standard] = name
