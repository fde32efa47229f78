"""The line to one peer through a mailbox: frames are handed over as parcels, of which letters tell.

Law
    1. A frame is handed over whole or not at all, and its bytes are those that were offered (SHA-256).
    2. ``send`` returns on the peer's signed word that it has taken this very offer, and that the process which took it
       has not stopped since. That files are gone means nothing: anybody could have removed them.
    3. Header and length are checked on the offer, before anything is fetched.
    4. A part that is not there, is half there or does not open is looked for again, then asked for, and told. Nothing
       that lies in the folder ends the line, nor does a folder that cannot be reached.

A look costs three small reads: the peer's two letters and this site's newest. So a site looks again soon after
something has come or gone, and more and more rarely while nothing does.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from cryptography import x509

from gossamer.errors import GossamerError, LineRefusedError, PeerError, ResourceError
from gossamer.gossip.topology import SiteId
from gossamer.transport.base import PeerState
from gossamer.transport.boxes import Folder
from gossamer.transport.correspondence import Correspondence
from gossamer.transport.identity import Identity, site_id_of
from gossamer.transport.letters import LENGTH_BYTES, Letter, Offer
from gossamer.transport.line import misfit
from gossamer.transport.line_messages import MAX_TEXT_BYTES, Hello
from gossamer.transport.parcels_in import Receiver
from gossamer.transport.parcels_out import Outgoing, Sender
from gossamer.transport.sealing import LETTER_OVERHEAD_BYTES, Route
from gossamer.wire.frame import Buffer, Frame
from gossamer.wire.limits import Limits

T = TypeVar("T")

LOOK_S = (0.5, 10.0)
"""Shortest and longest pause between two looks; doubled while nothing comes. An answer comes soon, or after a local
phase of many minutes: ten seconds are little beside that, and a look in ten seconds is little for any server."""

RETRY_S = (1.0, 60.0)
"""Shortest and longest pause before a folder that did not answer is written to again; doubled each time."""


@dataclass
class MailboxState(PeerState):
    """What a line through a mailbox is like, for people; up while the folder answers, bytes of sealed parts.

    Attributes:
        heard_s: when a new letter of the peer was last read (Unix time); 0 before the first.
        trouble: what the folder, or this site's disk, said when it last failed; None when it works again.
    """

    heard_s: float = 0.0
    trouble: str | None = None


class MailboxLine:
    """Hands frames over to one peer and takes its own."""

    def __init__(
        self,
        peer: SiteId,
        me: Identity,
        certificate: x509.Certificate,
        hello: Hello,
        *,
        limits: Limits,
        folder: Path,
        reading: Folder,
        writing: Folder,
        deliver: Callable[[SiteId, Buffer], Awaitable[None]],
        on_peer_started: Callable[[SiteId], None] = lambda peer: None,
        on_refusal: Callable[[str, GossamerError], None] = lambda who, error: None,
    ) -> None:
        """Nothing is said or heard before ``run``.

        Args:
            peer: who is at the other end.
            me: this site.
            certificate: the peer's identity.
            hello: what this end says first.
            limits: of frames.
            folder: of this site, for this peer alone; it exists.
            reading: the mailbox's, for what comes in.
            writing: the mailbox's, for what goes out.
            deliver: given each whole frame; the line waits for it.
            on_peer_started: told when the peer's process is another than before.
            on_refusal: told of what is not taken, and why.

        Raises:
            StorageError: what is kept about the letters cannot be read.
        """
        self.peer = peer
        self.state = MailboxState(since_s=time.time())
        self._hello = hello
        self._limits = limits
        self._deliver = deliver
        self._on_peer_started = on_peer_started
        self._on_refusal = on_refusal
        peers_id = site_id_of(certificate)
        self._letters = Correspondence(
            me, certificate, folder=folder, reading=reading, writing=writing, refuse=self._refuse
        )
        self._sender = Sender(Route(hello.federation, me.site_id, peers_id), folder, writing)
        self._receiver = Receiver(
            Route(hello.federation, peers_id, me.site_id),
            limits,
            life=hello.life,
            folder=folder,
            reading=reading,
            letters=self._letters,
            deliver=self._take_out,
            refuse=self._refuse,
        )
        # The peer's newest letter, if the two can speak, with the header of what it offers.
        self._word: Letter | None = None
        self._header = b""
        self._words = 0
        self._peers_life: str | None = None
        self._offer: tuple[Offer | None, bytes] = (None, b"")
        self._troubles: dict[str, str | None] = {}
        self._one_at_a_time = asyncio.Lock()
        self._came = asyncio.Condition()
        self._stirred = asyncio.Event()

    async def send(self, frame: Frame) -> None:
        """Hand a frame over, however long the way."""
        async with self._one_at_a_time:
            await self._next_word(lambda word: True)
            parcel = await self._patiently(lambda: self._sender.prepare(frame))
            await self._patiently(lambda: self._sender.put(parcel))
            while not await self._hand_over(parcel, frame.header):
                pass  # taken by a process that has stopped since: offered again, to the one that runs now
            try:
                await self._sender.remove(parcel)
            except ConnectionError as error:
                self._note("parcels", error)  # nobody waits for it; it is shown, since the folder fills

    async def run(self) -> None:
        """Look into the mailbox and say what there is to say, for ever."""
        pause_s = LOOK_S[0]
        while True:
            self._stirred.clear()
            try:
                moved = await self._look()
            except (ConnectionError, ResourceError) as error:
                self._note("letters", error)
                moved = False
            else:
                self._note("letters", None)
            pause_s = LOOK_S[0] if moved else min(2 * pause_s, LOOK_S[1])
            if moved and self._receiver.is_busy:
                continue  # the next part
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._stirred.wait()
                    pause_s = LOOK_S[0]

    def expect(self, limits: Limits) -> None:
        """From now on frames are as these limits have them; what was refused is looked at again."""
        self._limits = limits
        self._receiver.expect(limits)
        self._stirred.set()

    async def say_last(self) -> None:
        """Say what is still to be said, after ``run`` has ended: that a frame was taken, or the peer waits for ever."""
        if self._letters.owes_word:
            with suppress(ConnectionError, ResourceError):
                await self._letters.say(self._hello, self._receiver.asking(), *self._offer)

    def close(self) -> None:
        """Let go of what is coming in; what has come stays on the disk."""
        self._receiver.close()

    async def _look(self) -> bool:
        """Hear, take, say; True if something came."""
        most_bytes = LETTER_OVERHEAD_BYTES + LENGTH_BYTES + MAX_TEXT_BYTES + self._limits.header_bytes
        heard = await self._letters.hear(most_bytes)
        if heard is not None:
            await self._heed(*heard)
        offer = self._word.offer if self._word is not None else None
        moved = await self._receiver.take(offer, self._header) or heard is not None
        if self._letters.owes_word or (not moved and await self._letters.is_lost()):
            await self._letters.say(self._hello, self._receiver.asking(), *self._offer)
        self._count()
        return moved

    async def _heed(self, letter: Letter, header: bytes) -> None:
        """Take a new letter for the peer's word, if the two can speak."""
        self.state.heard_s = time.time()
        refusal = misfit(self._hello, letter.hello)
        if refusal is not None:
            self._word, self.state.refusal = None, refusal
            self._refuse(refusal)
            return
        reason = letter.wanted.reason if letter.wanted is not None else None
        self.state.refusal = LineRefusedError(f"site {self.peer}: {reason}") if reason else None
        if self._peers_life not in (None, letter.hello.life):
            self._on_peer_started(self.peer)
        self._peers_life = letter.hello.life
        async with self._came:
            self._word, self._header = letter, header
            self._words += 1
            self._came.notify_all()

    async def _take_out(self, frame: Buffer) -> None:
        await self._deliver(self.peer, frame)

    def _refuse(self, error: PeerError) -> None:
        self._on_refusal(self.peer, error)

    async def _hand_over(self, parcel: Outgoing, header: bytes) -> bool:
        """Offer a parcel that lies in the box until it is taken; False if who took it has stopped since."""
        offer = parcel.offer()
        self._announce(offer, header)
        try:
            while True:
                word = await self._next_word(partial(self._answers, offer, self._words))
                if _took(word, offer):
                    self._offer = (None, b"")
                    return word.taken is not None and word.taken.life == word.hello.life
                await self._patiently(partial(self._sender.put_again, parcel, _lacks(word, offer)))
        except asyncio.CancelledError:
            self._announce(None, b"")
            raise

    def _answers(self, offer: Offer, words: int, word: Letter) -> bool:
        """Whether the peer took an offer, or asks for parts of it in a word later than that."""
        return _took(word, offer) or (self._words > words and _lacks(word, offer) != ())

    def _announce(self, offer: Offer | None, header: bytes) -> None:
        self._offer = (offer, header)
        self._letters.owes_word = True
        self._stirred.set()

    async def _next_word(self, is_meant: Callable[[Letter], bool]) -> Letter:
        """The peer's word, when it is as it is waited for."""
        async with self._came:
            await self._came.wait_for(lambda: self._word is not None and is_meant(self._word))
            assert self._word is not None
            return self._word

    async def _patiently(self, act: Callable[[], Awaitable[T]]) -> T:
        """Do something with parcels as soon as the folder, and this site's disk, let it be done."""
        pause_s = RETRY_S[0]
        while True:
            try:
                done = await act()
            except (ConnectionError, ResourceError) as error:
                self._note("parcels", error)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, RETRY_S[1])
            else:
                self._note("parcels", None)
                return done

    def _note(self, what: str, error: Exception | None) -> None:
        """Keep for people whether letters and parcels come through."""
        self._troubles[what] = str(error) if error is not None else None
        self.state.trouble = next(filter(None, self._troubles.values()), None)
        self._count()
        is_up = not isinstance(error, ConnectionError)
        if what == "letters" and is_up != self.state.is_up:
            self.state.is_up, self.state.since_s = is_up, time.time()

    def _count(self) -> None:
        self.state.bytes_sent, self.state.bytes_received = self._sender.bytes_sent, self._receiver.bytes_received


def _took(word: Letter, offer: Offer) -> bool:
    return word.taken is not None and word.taken.token == offer.token


def _lacks(word: Letter, offer: Offer) -> tuple[int, ...]:
    """Parts of an offer that the peer asks for."""
    return word.wanted.parts if word.wanted is not None and word.wanted.token == offer.token else ()
