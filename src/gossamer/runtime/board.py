"""What the sites of a federation tell each other once, beside the gossip: signed, kept on the disk, passed on.

Law
    1. A notice is taken only if its author is in the roster and signed these bytes for this federation and topic, and
       only if ``require_readable`` takes it: what cannot be read later is nobody's word.
    2. What an author has said on a topic stands; another content is refused. An own notice is on the disk before it is
       on a line, so a restart says the same.
    3. What is new is passed on to all other peers: it reaches every site that is connected through others, whether or
       not its author reaches it.
    4. Nothing is lost: a peer that was started again is told everything again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from cryptography import x509

from gossamer.atomic import make_folder, write_atomically
from gossamer.errors import NoticeError, StorageError, WireError
from gossamer.gossip.topology import SiteId
from gossamer.transport.base import Transport
from gossamer.transport.identity import Identity, is_signed, sign, site_id_of
from gossamer.wire.codec import decode, encode
from gossamer.wire.limits import Limits
from gossamer.wire.messages import Notice

Readers = Mapping[str, Callable[[SiteId, bytes], object]]
"""By topic, what reads a notice on it (author, content), and raises NoticeError for what it cannot read."""


def readable_by(readers: Readers) -> Callable[[SiteId, str, bytes], None]:
    """What a board asks before it takes a notice: whether a site of this release can read it.

    Args:
        readers: all topics that there are.

    Returns:
        Given author, topic and content, it raises NoticeError for what is not what its topic wants, or is on none.
    """

    def require_readable(author: SiteId, topic: str, content: bytes) -> None:
        if topic not in readers:
            raise NoticeError(
                f"wanted a notice of site {author} on one of {', '.join(readers)}; found topic {topic!r}; it is "
                "dropped: a newer release may know it"
            )
        readers[topic](author, content)

    return require_readable


class Board:
    """The notices of all sites, as far as this one has heard."""

    def __init__(
        self,
        me: SiteId,
        identity: Identity,
        members: Mapping[SiteId, x509.Certificate],
        *,
        federation: str,
        folder: Path,
        transport: Transport,
        require_readable: Callable[[SiteId, str, bytes], None] = lambda author, topic, content: None,
        on_notice: Callable[[SiteId, str], None] = lambda author, topic: None,
    ) -> None:
        """A board with what lies in ``folder``; its peers are told once ``tell_everyone`` is called.

        Args:
            me: this site.
            identity: its own.
            members: the identities of all sites, this one among them.
            federation: SHA-256 of the federation file.
            folder: for the notices; made if need be.
            transport: lines to the peers.
            require_readable: raises NoticeError for what is not taken (author, topic, content).
            on_notice: told of each new notice.

        Raises:
            StorageError: a notice in the folder is damaged, or the folder cannot be made.
        """
        self._me = me
        self._identity = identity
        self._members = members
        self._federation = federation
        self._folder = folder
        self._transport = transport
        self._require_readable = require_readable
        self._on_notice = on_notice
        self._taking = asyncio.Lock()
        self._notices: dict[tuple[str, SiteId], Notice] = {}
        self._came = asyncio.Condition()
        self._sending: dict[tuple[SiteId, str, SiteId], asyncio.Task[None]] = {}
        self._read()

    def said(self, topic: str) -> dict[SiteId, bytes]:
        """What has been said on a topic, by author, sorted."""
        return {author: notice.content for (on, author), notice in sorted(self._notices.items()) if on == topic}

    def notices(self, topic: str) -> dict[SiteId, Notice]:
        """The same with the signatures."""
        return {author: notice for (on, author), notice in sorted(self._notices.items()) if on == topic}

    def missing(self, topic: str) -> tuple[SiteId, ...]:
        """Sites that have not said anything on a topic."""
        return tuple(site for site in sorted(self._members) if (topic, site) not in self._notices)

    async def post(self, topic: str, content: bytes) -> None:
        """Tell everyone, once: a second content on the topic is not taken.

        Raises:
            StorageError: it cannot be kept.
        """
        if (topic, self._me) in self._notices:
            return
        signature = sign(self._identity, _purpose(self._federation, topic), content)
        await self._keep(Notice(self._federation, topic, self._me, content, signature))

    async def take(self, sender: SiteId, notice: Notice) -> None:
        """Take in what a peer says or passes on.

        Raises:
            NoticeError: it breaks the law.
            StorageError: it cannot be kept.
        """
        async with self._taking:  # what is new while it is written would be new a second time
            await self._take(sender, notice)

    async def _take(self, sender: SiteId, notice: Notice) -> None:
        known = self._notices.get((notice.topic, notice.author))
        if known is None:
            self._require_signed(notice, f"in a message from site {sender}")
            self._require_readable(notice.author, notice.topic, notice.content)
            await self._keep(notice, heard_from=sender)
        elif known.content != notice.content:
            self._require_signed(notice, f"in a message from site {sender}")
            raise NoticeError(
                f"wanted one word of site {notice.author} on '{notice.topic}'; found two that it signed; was its "
                "folder restored from a backup, or does it run twice? ask that site"
            )

    async def everyone(self, topic: str, among: Collection[SiteId] | None = None) -> dict[SiteId, bytes]:
        """What sites say on a topic; waits until all have said it, or all of those named."""
        awaited = set(self._members if among is None else among)
        async with self._came:
            await self._came.wait_for(lambda: not awaited & set(self.missing(topic)))
        return self.said(topic)

    def tell_everyone(self) -> None:
        """Tell all peers all there is; those who know it already say so."""
        for peer in self._members:
            self.tell(peer)

    def tell(self, peer: SiteId) -> None:
        """Tell a peer all there is: it was started again, and may have lost what was on its way."""
        for notice in self._notices.values():
            self._send(peer, notice)

    async def told(self) -> None:
        """Wait until every peer has all there is."""
        while self._sending:
            await asyncio.wait(self._sending.values())

    async def close(self) -> None:
        """Give up what is still on its way."""
        tasks = list(self._sending.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep(self, notice: Notice, heard_from: SiteId | None = None) -> None:
        frame = encode(notice)
        await asyncio.shield(asyncio.to_thread(write_atomically, self._file(notice), frame.pieces()))
        self._notices[notice.topic, notice.author] = notice
        self._on_notice(notice.author, notice.topic)
        for peer in self._members:
            if peer != heard_from:
                self._send(peer, notice)
        async with self._came:
            self._came.notify_all()

    def _send(self, peer: SiteId, notice: Notice) -> None:
        """Begin a hand-over at once: on a line what was begun first arrives first."""
        key = peer, notice.topic, notice.author
        if peer in (self._me, notice.author) or key in self._sending:
            return
        task = asyncio.create_task(self._transport.send(peer, encode(notice)))
        self._sending[key] = task
        task.add_done_callback(lambda _: self._sending.pop(key, None))

    def _require_signed(self, notice: Notice, where: str) -> None:
        certificate = self._members.get(notice.author)
        if certificate is None or notice.federation != self._federation:
            raise NoticeError(
                f"wanted a notice of a site of this federation; found one of site {notice.author!a:.60} in federation "
                f"{notice.federation[:12]}, {where}; it is dropped"
            )
        if not is_signed(certificate, _purpose(notice.federation, notice.topic), notice.content, notice.signature):
            raise NoticeError(
                f"wanted a notice that site {notice.author} has signed; found another's signature, {where}; it is "
                "dropped: whoever passed it on has changed it"
            )

    def _file(self, notice: Notice) -> Path:
        return self._folder / f"{notice.topic}-{site_id_of(self._members[notice.author])[:32]}.safetensors"

    def _read(self) -> None:
        make_folder(self._folder, "wanted a folder for notices")
        for path in sorted(self._folder.glob("*.safetensors")):
            try:
                notice = decode(path.read_bytes(), Limits({}, {}))
                assert isinstance(notice, Notice)
                self._require_signed(notice, "on the disk")
            except (OSError, WireError, NoticeError) as error:
                raise StorageError(
                    f"wanted a notice that this site kept; found a damaged file, at {path.name}; remove it: the other "
                    "sites have it too"
                ) from error
            self._notices[notice.topic, notice.author] = notice


def _purpose(federation: str, topic: str) -> str:
    return f"notice {federation} {topic}"
