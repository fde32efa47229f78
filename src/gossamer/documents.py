"""Reading the files people write and other programs leave: strict, and with errors that help.

One place turns pydantic's findings into ours: an unknown key names the nearest known one, a wrong value says
what was found and what would do.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from gossamer.errors import ConfigurationError, DataError, GossamerError, UnknownKeyError

UNKNOWN_KEY = ("extra_forbidden", "unexpected_keyword_argument")
"""Pydantic's words for it: of a model, and of a dataclass."""

Document = TypeVar("Document", bound=BaseModel)


def parse_toml(text: str, kind: type[Document], what: str, error: type[GossamerError] = ConfigurationError) -> Document:
    """Read a TOML document as ``kind``.

    Args:
        text: the document.
        kind: the pydantic model it must fit.
        what: how messages call the document, for example ``study file openkbp.toml``.
        error: what to raise for anything but an unknown key.

    Raises:
        UnknownKeyError: a key that ``kind`` does not have.
        ConfigurationError: not TOML, or a value does not fit (or the given ``error``).
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise error(f"{what}: wanted TOML; found text that is none: {problem}") from problem
    return validate(raw, kind, what, error)


def parse_json(text: str, kind: type[Document], what: str, error: type[GossamerError] = ConfigurationError) -> Document:
    """Read a JSON document as ``kind``; see :func:`parse_toml`."""
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as problem:  # also numbers and nesting that Python does not take
        raise error(f"{what}: wanted JSON; found text that is none: {problem}") from problem
    return validate(raw, kind, what, error)


def validate(raw: Any, kind: type[Document], what: str, error: type[GossamerError] = ConfigurationError) -> Document:
    """Fit plain data to ``kind``; see :func:`parse_toml`."""
    try:
        return kind.model_validate(raw)
    except ValidationError as problem:
        # A misspelt key shows as one that lacks and one too many; the second says more.
        first = min(problem.errors(), key=lambda finding: finding["type"] not in UNKNOWN_KEY)
        where = ".".join(str(part) for part in first["loc"])
        more = problem.error_count() - 1
        rest = f" (and {more} more)" if more else ""
        if first["type"] in UNKNOWN_KEY:
            raise UnknownKeyError(f"{what}: unknown key {where!r}{_nearest(kind, first['loc'])}{rest}") from problem
        found = _found(first["input"], error)
        raise error(f"{what}: {where or 'document'}: {first['msg']}; found {found}{rest}") from problem


def _found(value: Any, error: type[GossamerError]) -> str:
    """What stands there; of a document about patients no text, which may be a name."""
    if issubclass(error, DataError) and not isinstance(value, int | float | None):
        return {"str": "other text", "dict": "other keys"}.get(type(value).__name__, "something else")
    return f"{value!r:.80}"


def _nearest(kind: type[BaseModel], location: tuple[int | str, ...]) -> str:
    """Suggest a key of the section the unknown one stands in."""
    *section, unknown = location
    fields = _fields_at(kind, section)
    close = get_close_matches(str(unknown), fields, n=1, cutoff=0.4)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known here: {', '.join(sorted(fields))}" if fields else ""


def _fields_at(kind: Any, section: list[int | str]) -> list[str]:
    """Names of the fields of the model found by following ``section`` down from ``kind``."""
    for step in section:
        fields: Mapping[str, Any] = getattr(kind, "model_fields", None) or getattr(kind, "__dataclass_fields__", {})
        kind = _inner(fields[str(step)]) if step in fields else kind
    return list(getattr(kind, "model_fields", None) or getattr(kind, "__dataclass_fields__", {}))


def _inner(field: Any) -> Any:
    """The model or dataclass inside a field's annotation, through containers."""
    annotation = getattr(field, "annotation", None) or getattr(field, "type", None)
    for candidate in (annotation, *getattr(annotation, "__args__", ())):
        if hasattr(candidate, "model_fields") or hasattr(candidate, "__dataclass_fields__"):
            return candidate
    return annotation
