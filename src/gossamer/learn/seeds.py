"""Random numbers by purpose: the same (seed, site, purpose, index) gives the same stream, in any process and order."""

from __future__ import annotations

import hashlib

import numpy as np


def generator(seed: int, site: str, purpose: str, index: int) -> np.random.Generator:
    """A generator of its own for one thing that is drawn.

    Args:
        seed: of the study's run.
        site: whose draw it is.
        purpose: what is drawn, so that two uses of one index do not share numbers.
        index: which one.
    """
    digest = hashlib.sha256(f"{seed}\0{site}\0{purpose}\0{index}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "little"))
