"""All that a site must find again after a power cut."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Snapshot:
    """A node's whole state; a value, never changed in place."""
