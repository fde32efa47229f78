"""The public names of a package, each loaded when it is first asked for.

So importing the package costs nothing, and PyTorch comes with the first name that needs it. Type checkers read the same
names in ``__init__.pyi``: under ``TYPE_CHECKING`` in the package itself they would make it know all the rooms they come
from, and whoever imports the package with it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def lazily(
    package: str, names_by_module: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of a package.

    Args:
        package: its ``__name__``.
        names_by_module: below the package, where its public names come from.
    """
    home = {name: module for module, names in names_by_module.items() for name in names}
    loaded = vars(sys.modules[package])

    def load(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f"{package}.{home[name]}"), name)
        loaded[name] = value  # the next time Python finds it without asking here
        return value

    def names() -> list[str]:
        return sorted(loaded.keys() | home.keys())

    return load, names
