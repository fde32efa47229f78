"""Whom a relay lets in: a secret for each federation, or each group of sites, that its owner gives out.

A file of lines ``label = "secret"`` (TOML), readable for its owner alone. The label is for the relay's own words.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field, RootModel

from gossamer.documents import parse_toml
from gossamer.errors import ConfigurationError, UsageError

SHORTEST_SECRET = 32
"""Who overhears a proof can try secrets against it for as long as it likes: no words, but 256 bits drawn at random."""

SECRET_BYTES = 32

Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")]
Secret = Annotated[str, Field(min_length=SHORTEST_SECRET, max_length=200)]


class Admitted(RootModel):  # type: ignore[type-arg]  # with it, a class of that odd name would stand in this module
    """What stands in the file."""

    root: dict[Label, Secret]


def admission_line(label: str) -> str:
    """A line for the file, with a new secret.

    Raises:
        UsageError: the label does not fit.
    """
    line = f'{label} = "{secrets.token_urlsafe(SECRET_BYTES)}"'
    parse_toml(line, Admitted, "label", UsageError)
    return line


def read_admitted(path: Path) -> Mapping[str, bytes]:
    """Secrets by label.

    Raises:
        UsageError: there is no such file.
        ConfigurationError: it names nobody, does not fit, or others may read it.
    """
    what = f"admission file {path.name}"
    try:
        mode, text = path.stat().st_mode & 0o777, path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"wanted an admission file; found none that can be read at {path.name!r}; write lines of: gossamer relay "
            "new-secret LABEL"
        ) from error
    if mode & 0o077:
        raise ConfigurationError(
            f"{what}: wanted it readable for its owner alone; found mode {mode:04o}; chmod 600 it, and give out new "
            "secrets if strangers had access"
        )
    admitted = parse_toml(text, Admitted, what).root
    if not admitted:
        raise ConfigurationError(
            f"{what}: wanted at least one secret; found none; a relay that lets everyone in is not to be had: write "
            "lines of: gossamer relay new-secret LABEL"
        )
    return {label: secret.encode() for label, secret in admitted.items()}
