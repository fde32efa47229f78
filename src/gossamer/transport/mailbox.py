"""Sites that cannot reach each other meet in a folder that both can reach: local or synchronised, SFTP, S3, WebDAV.

Law
    1. Only sites of the roster are heard, and each is who its letters' signatures say. Whoever else can write in the
       folder can delete and delay, and is told of; see ``mailbox_line``.
    2. Whoever can read the folder sees lengths, times, and which boxes are used; see ``sealing`` and ``boxes``.
    3. The folder is never the reason for an end: while it cannot be reached, frames wait.

A folder is for one federation: two would write in each other's boxes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from cryptography import x509

from gossamer.errors import GossamerError
from gossamer.gossip.topology import SiteId
from gossamer.transport.boxes import Folder
from gossamer.transport.identity import Identity
from gossamer.transport.line_messages import Hello
from gossamer.transport.mailbox_line import MailboxLine
from gossamer.transport.peer_lines import LinesTransport, folder_of_line
from gossamer.transport.stores import Store
from gossamer.wire.limits import Limits

LAST_WORD_S = 10.0
"""A folder that takes no letter for so long is away; the next process says it."""


class MailboxTransport(LinesTransport[MailboxLine]):
    """This site's lines through one mailbox to some of its peers."""

    def __init__(
        self,
        me: Identity,
        peers: Mapping[SiteId, x509.Certificate],
        *,
        open_store: Callable[[], Store],
        hello: Hello,
        limits: Limits,
        folder: Path,
        on_refusal: Callable[[str, GossamerError], None] = lambda who, error: None,
    ) -> None:
        """Lines that neither say nor hear anything; ``start`` begins.

        Args:
            me: this site.
            peers: the identities of the others, by name.
            open_store: opens the mailbox's folder; see ``store_address``.
            hello: what this site says first.
            limits: of frames.
            folder: of this site, for what is coming in and for the letters' numbers; it lives as long as the journal.
            on_refusal: told of each thing that was refused, and why.

        Raises:
            StorageError: what is kept about the letters cannot be read.
        """
        super().__init__(len(peers))
        self._reading, self._writing = Folder(open_store), Folder(open_store)  # a long way up delays no way down
        self._running: list[asyncio.Task[None]] = []
        for name, certificate in peers.items():
            own = folder_of_line(folder, certificate)
            self.lines[name] = MailboxLine(
                name,
                me,
                certificate,
                hello,
                limits=limits,
                folder=own,
                reading=self._reading,
                writing=self._writing,
                deliver=self._deliver,
                on_peer_started=self._note_start,
                on_refusal=on_refusal,
            )

    async def start(self) -> None:
        """Begin to look into the mailbox."""
        self._running = [asyncio.create_task(line.run()) for line in self.lines.values()]

    async def close(self) -> None:
        """See ``Transport``."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORD_S):
                await asyncio.gather(*(line.say_last() for line in self.lines.values()))
        for line in self.lines.values():
            line.close()
        self._reading.close()
        self._writing.close()
