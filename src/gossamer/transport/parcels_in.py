"""Frames on their way in from a box, part by part.

Law
    1. Header and length are checked on the offer, before anything is fetched; a part is read up to the length that it
       must have.
    2. What has come is kept in a file, and is not fetched again, also after a restart. A frame comes out of it when all
       of it is there and has the SHA-256 that was offered.
    3. A part that is not there, is half there or does not open is looked for again, then asked for, and told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from gossamer.errors import PeerError, WireError
from gossamer.transport.boxes import Folder, box_of, part_path
from gossamer.transport.correspondence import DOUBTFUL_LOOKS, Correspondence
from gossamer.transport.incoming import Incoming
from gossamer.transport.letters import MOST_WANTED, Offer, Taken, Wanted
from gossamer.transport.line import MAX_UNSOUND
from gossamer.transport.parcels_out import kind_of
from gossamer.transport.sealing import PART_BYTES, BodySeal, Route
from gossamer.wire.frame import Buffer, wire_error
from gossamer.wire.limits import Limits

MAX_DOUBTFUL_LOOKS = 64
"""Each time that a part was asked for, twice as many looks pass before the next: the way may be slow, and asking makes
it no faster. No more than so many, which is ten minutes."""

MAX_REASON = 400
"""So many characters of a reason go into a letter."""


class Arrival:
    """One offered frame on its way in."""

    def __init__(self, route: Route, offer: Offer, header: bytes, folder: Path, room_for_header: int) -> None:
        """Go on with what has come of this body, or begin it.

        Args:
            route: from the peer to this site.
            offer: the peer's, within the limits.
            header: of the frame, likewise.
            folder: of this site, for this peer alone.
            room_for_header: the longest header there can be.

        Raises:
            StorageError: it cannot be kept.
        """
        self.offer = offer
        self._box = box_of(route.sender, route.receiver)
        self._seal = BodySeal(route, bytes.fromhex(offer.secret), bytes.fromhex(offer.sha256), offer.body_bytes)
        kind = kind_of(offer.body_bytes)
        path = folder / f"{offer.sha256[:32]}.{kind}"
        for other in folder.glob(f"*.{kind}"):
            if other != path:
                other.unlink()  # of a body that the peer gave up
        self._incoming = Incoming(path, header, offer.body_bytes, bytes.fromhex(offer.sha256), room_for_header)
        if self._incoming.received % PART_BYTES and not self._incoming.is_complete:
            self._incoming.begin_anew()  # a power cut left a count that was never there

    @property
    def is_complete(self) -> bool:
        """Whether all parts are here."""
        return self._incoming.is_complete

    @property
    def is_sound(self) -> bool:
        """Whether they make the body that was offered."""
        return self._incoming.is_sound

    async def fetch(self, reading: Folder) -> int:
        """Fetch the next part; returns its length.

        Raises:
            WireError: it is not there, not all of it, or not what was offered.
            ConnectionError: the folder does not answer.
        """
        index = self._incoming.received // PART_BYTES
        length = self._seal.sealed_bytes(index)
        sealed = await reading.read(part_path(self._box, self._seal.name, index), length + 1)
        if sealed is None:
            raise wire_error("part", f"part {index} of what the letter offers", "no file")
        self._incoming.take([memoryview(await asyncio.to_thread(self._seal.open, index, sealed))])
        return length

    async def lacking(self, reading: Folder) -> tuple[int, ...]:
        """The part that comes next, and all after it that are not there.

        Raises:
            ConnectionError: the folder does not answer.
        """
        first = self._incoming.received // PART_BYTES
        lacking = [first]
        for index in range(first + 1, self._seal.parts):
            path = part_path(self._box, self._seal.name, index)
            if len(lacking) < MOST_WANTED and await reading.size_bytes(path) != self._seal.sealed_bytes(index):
                lacking.append(index)
        return tuple(lacking)

    def begin_anew(self) -> None:
        """Forget what has come."""
        self._incoming.begin_anew()

    def frame(self) -> Buffer:
        """The whole frame; nothing is left on the disk."""
        return self._incoming.frame()

    def close(self) -> None:
        """Let go; what has come stays on the disk."""
        self._incoming.close()


class Receiver:
    """Takes what one peer offers."""

    def __init__(
        self,
        route: Route,
        limits: Limits,
        *,
        life: str,
        folder: Path,
        reading: Folder,
        letters: Correspondence,
        deliver: Callable[[Buffer], Awaitable[None]],
        refuse: Callable[[PeerError], None],
    ) -> None:
        """Nothing is on its way yet.

        Args:
            route: from the peer to this site.
            limits: of frames.
            life: of this process.
            folder: of this site, for this peer alone.
            reading: the mailbox's.
            letters: with the peer; they keep what was taken.
            deliver: given each whole frame; it is waited for.
            refuse: told of what is not taken, and why.
        """
        self._route, self._limits, self._life = route, limits, life
        self._folder, self._reading, self._letters = folder, reading, letters
        self._deliver, self._refuse = deliver, refuse
        self._arrival: Arrival | None = None
        self._misses, self._patience, self._unsound = 0, DOUBTFUL_LOOKS, 0
        self._wanted: Wanted | None = None
        self.bytes_received = 0

    def asking(self) -> Wanted | None:
        """What the next letter asks for: parts once, a refusal as long as it holds."""
        wanted = self._wanted
        if wanted is not None and wanted.reason is None:
            self._wanted = None
        return wanted

    @property
    def is_busy(self) -> bool:
        """Whether a frame is on its way."""
        return self._arrival is not None

    def expect(self, limits: Limits) -> None:
        """From now on frames are as these limits have them; what was refused is looked at again."""
        self._limits = limits
        self._wanted = None
        self._letters.owes_word = True

    async def take(self, offer: Offer | None, header: bytes) -> bool:
        """Fetch the next part of what is offered; True if that went on.

        Raises:
            ConnectionError: the folder does not answer.
            StorageError: this site's disk does not keep what comes.
        """
        if offer is None or self._is_settled(offer):
            self.close()
            return False
        if self._arrival is None or self._arrival.offer != offer:
            self.close()
            self._wanted = None
            if not self._is_within_limits(offer, header):
                return False
            self._arrival = await asyncio.to_thread(
                Arrival, self._route, offer, header, self._folder, self._limits.header_bytes
            )
            self._misses, self._patience, self._unsound = 0, DOUBTFUL_LOOKS, 0
        return await self._go_on(self._arrival)

    def close(self) -> None:
        """Let go of what is on its way; what has come stays on the disk."""
        if self._arrival is not None:
            self._arrival.close()
            self._arrival = None

    async def _go_on(self, arrival: Arrival) -> bool:
        if not arrival.is_complete:
            try:
                self.bytes_received += await arrival.fetch(self._reading)
            except WireError as error:
                await self._miss(arrival, error)
                return False
            self._misses, self._patience = 0, DOUBTFUL_LOOKS
        if arrival.is_complete:
            await self._finish(arrival)
        return True

    def _is_within_limits(self, offer: Offer, header: bytes) -> bool:
        frame_bytes = len(header) + offer.body_bytes
        if len(header) <= self._limits.header_bytes and frame_bytes <= self._limits.frame_bytes:
            return True
        wanted = f"a frame of at most {self._limits.frame_bytes} bytes"
        self._refuse_offer(offer, wire_error("length", wanted, frame_bytes))
        return False

    async def _finish(self, arrival: Arrival) -> None:
        if arrival.is_sound:
            self._arrival = None
            await self._deliver(arrival.frame())
            await self._letters.note_taken(Taken(token=arrival.offer.token, life=self._life))
            return
        self._unsound += 1
        if self._unsound < MAX_UNSOUND:
            arrival.begin_anew()  # this site's disk may have lost some of it
        else:
            self._refuse_offer(arrival.offer, wire_error("sha256", "a body that is what was offered", "another"))

    async def _miss(self, arrival: Arrival, error: WireError) -> None:
        """A part is not as it must be: have patience, then say so and ask for it."""
        self._misses += 1
        if self._misses == self._patience:
            self._refuse(error)
            self._misses, self._patience = 0, min(2 * self._patience, MAX_DOUBTFUL_LOOKS)
            self._wanted = Wanted(token=arrival.offer.token, parts=await arrival.lacking(self._reading))
            self._letters.owes_word = True

    def _is_settled(self, offer: Offer) -> bool:
        """Whether there is nothing more to do about an offer: it was taken, or is refused."""
        taken, wanted = self._letters.taken, self._wanted
        if taken is not None and taken.token == offer.token:
            return True
        return wanted is not None and wanted.token == offer.token and wanted.reason is not None

    def _refuse_offer(self, offer: Offer, error: WireError) -> None:
        self.close()
        self._wanted = Wanted(token=offer.token, reason=str(error)[:MAX_REASON])
        self._letters.owes_word = True
        self._refuse(error)
