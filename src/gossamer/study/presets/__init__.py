"""Study files to start from; each is a commented TOML file in this folder."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import resources
from pathlib import Path

from gossamer.atomic import write_atomically
from gossamer.errors import UsageError


def preset_names() -> tuple[str, ...]:
    """All presets, sorted."""
    files = resources.files(__name__).iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


def read_preset(name: str) -> str:
    """A preset's text.

    Raises:
        UsageError: there is none of this name.
    """
    if name not in preset_names():
        near = get_close_matches(name, preset_names(), n=1, cutoff=0.3)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UsageError(f"wanted a preset; found {name!r}; {hint}there are {', '.join(preset_names())}")
    return (resources.files(__name__) / f"{name}.toml").read_text(encoding="utf-8")


def write_preset(name: str, path: Path) -> None:
    """Write a preset as a new study file.

    Raises:
        UsageError: there is no such preset, or the file exists.
    """
    text = read_preset(name)
    if path.exists():
        raise UsageError(f"wanted to write a new study file; found one at {path.name!r}; choose another name")
    write_atomically(path, text)
