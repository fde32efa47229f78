"""What a federation or study file calls by name: plain words, so that reading such a file needs no PyTorch."""

from __future__ import annotations

from typing import Literal

Pace = Literal["asynchronous", "lockstep"]
"""Whether sites wait for each other."""

MachinesName = Literal["alike", "fets"]
"""Whose clocks and lines a simulated federation has (``runtime.machines``)."""

GuardName = Literal["clipping", "trimming"]
"""What stands before every mean (``registry.GUARDS``)."""
