"""A site in contact with its peers: its lines to them, and the board of what they tell each other once over these.

Law: lines and board are read from the disk when they are made, and written as long as they are open. So whoever makes
a contact holds its folder alone until it is closed (``only_writer``): what was read before may not be true any more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from pathlib import Path

from gossamer.errors import GossamerError, ListenError
from gossamer.gossip.topology import SiteId
from gossamer.runtime.beside import to_the_end
from gossamer.runtime.board import Board
from gossamer.runtime.early import EarlyHearing
from gossamer.runtime.federation_file import Federation
from gossamer.runtime.site_folder import SiteFolder
from gossamer.transport.base import Transport

LOOK_AGAIN_S = 0.5


class Contact:
    """What a site has open to the others of a federation."""

    def __init__(
        self,
        site: SiteFolder,
        federation: Federation,
        transport: Transport,
        folder: Path,
        *,
        require_readable: Callable[[SiteId, str, bytes], None],
        on_notice: Callable[[SiteId, str], None],
        on_refusal: Callable[[str, GossamerError], None],
    ) -> None:
        """Closed yet.

        Args:
            site: this site's folder.
            federation: with the roster.
            transport: its lines, not started.
            folder: of this site in this federation; held alone.
            require_readable: raises NoticeError for a notice that is not taken (author, topic, content).
            on_notice: told of each new notice: of whom, and on which topic.
            on_refusal: told of what was refused: of whom, and why.

        Raises:
            StorageError: a notice in the folder is damaged, or it cannot be written.
        """
        self._listens_on = site.settings.listen
        self.transport = transport
        self.board = Board(
            SiteId(federation.member(site.identity.site_id).name),
            site.identity,
            {SiteId(member.name): member.identity for member in federation.settings.sites},
            federation=federation.sha256,
            folder=folder / "board",
            transport=transport,
            require_readable=require_readable,
            on_notice=on_notice,
        )
        self.early = EarlyHearing(transport, self.board, on_refusal)

    @asynccontextmanager
    async def opened(self, port_free_s: float = 0.0) -> AsyncIterator[None]:
        """Lines up, and everyone told what was told before; until the block ends.

        Args:
            port_free_s: how long a taken port is tried again: the process before may still be ending.

        Raises:
            ListenError: an address to listen on is taken or not this machine's.
        """
        try:
            await self._listen(port_free_s)
            self.board.tell_everyone()
            yield
        finally:
            await to_the_end(self._close())

    async def _close(self) -> None:
        await self.board.close()
        await self.transport.close()

    def missing(self, topic: str, among: Collection[SiteId]) -> tuple[SiteId, ...]:
        """Of these sites, those that have said nothing on a topic."""
        return tuple(site for site in self.board.missing(topic) if site in among)

    async def _listen(self, port_free_s: float) -> None:
        until_s = time.monotonic() + port_free_s
        while True:
            try:
                await self.transport.start()
            except ConnectionError as error:
                if time.monotonic() >= until_s:
                    raise ListenError(
                        f"wanted to listen on {self._listens_on}; found that it cannot be had; is the site running "
                        "already, or is that not an address of this machine? correct 'listen' in site.toml"
                    ) from error
                await asyncio.sleep(LOOK_AGAIN_S)
            else:
                return
