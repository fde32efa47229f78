"""All campaigns of this package, by name."""

from __future__ import annotations

import importlib
import pkgutil

import faults
from faults.campaign import Campaign


def campaigns() -> dict[str, Campaign]:
    """In the order of their modules' names.

    Raises:
        ValueError: two have the same name.
    """
    found: dict[str, Campaign] = {}
    for module in pkgutil.iter_modules(faults.__path__):
        if module.name == "__main__":
            continue
        for campaign in getattr(importlib.import_module(f"faults.{module.name}"), "CAMPAIGNS", ()):
            if campaign.name in found:
                raise ValueError(f"wanted campaigns of different names; found two called {campaign.name!r}")
            found[campaign.name] = campaign
    return found
