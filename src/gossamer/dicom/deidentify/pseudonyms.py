"""Pseudonyms of patients and UIDs: the same at each run of the same site, and of no use to anyone without its key.

A pseudonym is an HMAC-SHA-256 of what is said of the patient under a key that the site makes once and keeps. Without
the key nobody can try out patient numbers until one fits, as with a bare hash. UIDs and the days by which a patient's
dates are moved come from the same key, each with a word of its own before what is hashed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import uuid
from pathlib import Path

from gossamer.atomic import storage_error, write_atomically
from gossamer.errors import DatasetError

KEY_BYTES = 32

PSEUDONYM_CHARACTERS = 10
"""Of 32 letters and digits, 50 bits: among 10,000 patients two share one with a chance below 1 in 10 million."""

UUID_ROOT = "2.25."
"""Of UIDs made from a UUID (PS3.5 B.2)."""

MOST_DAYS = 3653
"""By which dates are moved at most: ten years."""


class Pseudonyms:
    """Those of one site."""

    def __init__(self, key: bytes) -> None:
        """Under a key of ``KEY_BYTES`` random bytes."""
        self._key = key

    @classmethod
    def kept_in(cls, path: Path) -> Pseudonyms:
        """Under the key in a file, which is made, for its owner alone, if it is not there.

        Raises:
            DatasetError: the file holds something else.
            StorageError: it cannot be read or written.
        """
        if not path.exists():
            write_atomically(path, secrets.token_bytes(KEY_BYTES).hex() + "\n", mode=0o600)
        try:
            text = path.read_text(encoding="ascii", errors="replace").strip()
        except OSError as error:
            raise storage_error(error, "wanted to read the key of the pseudonyms") from error
        try:
            key = bytes.fromhex(text)
        except ValueError:
            key = b""
        if len(key) != KEY_BYTES:
            raise DatasetError(
                f"wanted the key of this site's pseudonyms, {2 * KEY_BYTES} hexadecimal digits; found something else, "
                "in the file of --key; restore it, or remove it to give all patients new pseudonyms"
            )
        return cls(key)

    def of(self, patient: str) -> str:
        """The pseudonym of a patient.

        Args:
            patient: what tells the patient from others, such as the DICOM Patient ID.

        Returns:
            Lower-case letters and digits, safe as the name of a folder.
        """
        digest = hmac.digest(self._key, patient.encode(), hashlib.sha256)
        return base64.b32encode(digest)[:PSEUDONYM_CHARACTERS].decode().lower()

    def uid(self, uid: str) -> str:
        """The UID that stands for another one, wherever that occurs.

        Args:
            uid: of the hospital.

        Returns:
            ``2.25.`` with the decimal of a UUID, of at most 44 characters (PS3.5 B.2); two UIDs share one with a chance
            of 1 in 2**122.
        """
        return f"{UUID_ROOT}{uuid.UUID(bytes=self._digest('uid', uid)[:16], version=4).int}"

    def days_earlier(self, patient: str) -> int:
        """By how many days all dates of a patient are moved back, 1 to ``MOST_DAYS``."""
        return 1 + int.from_bytes(self._digest("days", patient)) % MOST_DAYS

    def seal(self, text: str) -> str:
        """A hash by which only the holder of the key can tell what a file was made from."""
        return self._digest("seal", text).hex()

    def _digest(self, purpose: str, text: str) -> bytes:
        return hmac.digest(self._key, f"{purpose}\0{text}".encode(), hashlib.sha256)
