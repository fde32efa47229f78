"""What a series is called in messages, and in names of files and folders: nothing that a hospital wrote."""

from __future__ import annotations

import hashlib

KEY_DIGITS = 8
"""Of a series' hash: two of 10,000 series share one with a chance of 1 %."""


def series_key(series_uid: str) -> str:
    """The beginning of the SHA-256 of a Series Instance UID."""
    return hashlib.sha256(series_uid.encode()).hexdigest()[:KEY_DIGITS]
