"""Boxes of a rehearsal in the mailbox that the real run will use: beside the real ones, and empty before and after.

A mailbox is for one federation, since letters are counted in it. So a rehearsal has boxes of its own there; and since
each rehearsal counts anew, a site takes its letters away when it begins and when it ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from gossamer.transport.boxes import box_of, letter_path
from gossamer.transport.store_address import store_opener
from gossamer.transport.stores import Store

PREFIX = "rehearsal-"


class ApartStore(Store):
    """A store whose boxes have names of their own."""

    def __init__(self, inner: Store) -> None:
        self._inner = inner

    def read(self, path: str, most_bytes: int) -> bytes | None:
        """See ``Store``."""
        return self._inner.read(PREFIX + path, most_bytes)

    def write(self, path: str, content: bytes) -> None:
        """See ``Store``."""
        self._inner.write(PREFIX + path, content)

    def size_bytes(self, path: str) -> int | None:
        """See ``Store``."""
        return self._inner.size_bytes(PREFIX + path)

    def remove(self, path: str) -> None:
        """See ``Store``."""
        self._inner.remove(PREFIX + path)

    def close(self) -> None:
        """See ``Store``."""
        self._inner.close()


def apart(url: str, options: Mapping[str, Any] | None = None) -> Callable[[], Store]:
    """What opens the folder at an address, with boxes apart; as ``store_opener``."""
    open_store = store_opener(url, options)
    return lambda: ApartStore(open_store())


def take_letters_away(open_store: Callable[[], Store], me: str, peers: Iterable[str]) -> None:
    """Empty this site's own boxes; a folder that does not answer is left as it is.

    Args:
        open_store: see ``apart``.
        me: this site's id.
        peers: the others' ids.
    """
    with suppress(Exception):  # the drivers' errors have no common base, and what is left is only untidy
        store = open_store()
        for peer in peers:
            for number in (0, 1):
                store.remove(letter_path(box_of(me, peer), number))
        store.close()
