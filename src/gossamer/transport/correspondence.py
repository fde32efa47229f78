"""The letters between this site and one peer: the newest of each counts, and none counts twice.

Law
    1. A letter's number is used once, and grows: it is on this site's disk before the letter is in the folder.
    2. A letter with a number below one that was heard is refused, also after a restart of this site. So neither an old
       letter nor a backup of the folder brings anything back. The newest one is read again after a restart.
    3. A letter that does not open may be on its way: it is looked at again, then told once, and ends nothing.
    4. A site that was set back to a backup of its own folder learns from its peer how far its letters had come, and
       goes on from there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography import x509
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gossamer.atomic import storage_error, write_atomically
from gossamer.errors import LedgerError, PeerError, StorageError, WireError
from gossamer.transport.boxes import Folder, box_of, letter_path
from gossamer.transport.identity import Identity, site_id_of
from gossamer.transport.letters import Letter, Offer, Taken, Wanted, from_bytes, to_bytes
from gossamer.transport.line_messages import Hello
from gossamer.transport.sealing import open_letter, seal_letter
from gossamer.wire.frame import wire_error

DOUBTFUL_LOOKS = 4
"""What still is not as it must be after so many looks is not merely on its way."""

MAX_NUMBER = 2**63 - 1
REGISTER = "letters.json"


class Register(BaseModel):
    """What a site must find again about the letters of one pair.

    Attributes:
        said: number of its own newest letter.
        heard: number of the newest letter that it has from the peer.
        taken: what it took last.
    """

    model_config = ConfigDict(frozen=True)

    said: int = Field(default=0, ge=0)
    heard: int = Field(default=0, ge=0)
    taken: Taken | None = None


class Correspondence:
    """Writes letters to one peer, and reads its own."""

    def __init__(
        self,
        me: Identity,
        certificate: x509.Certificate,
        *,
        folder: Path,
        reading: Folder,
        writing: Folder,
        refuse: Callable[[PeerError], None],
    ) -> None:
        """What was said and heard before is known from the disk.

        Args:
            me: this site.
            certificate: the peer's identity.
            folder: of this site, for this peer alone; it exists.
            reading: the mailbox's, for what comes in.
            writing: the mailbox's, for what goes out.
            refuse: told why a letter is refused.

        Raises:
            StorageError: what is kept cannot be read.
        """
        self._me, self._certificate = me, certificate
        self._box_out = box_of(me.site_id, site_id_of(certificate))
        self._box_in = box_of(site_id_of(certificate), me.site_id)
        self._path = folder / REGISTER
        self._reading, self._writing = reading, writing
        self._refuse = refuse
        self._register = _read_register(self._path)
        self._own = b""
        self._number = -1
        self._settled: dict[int, bytes] = {}
        self._doubts = [0, 0]
        self.owes_word = True
        """Whether the peer should hear of this site again, even without news."""

    @property
    def taken(self) -> Taken | None:
        """What was taken last."""
        return self._register.taken

    async def note_taken(self, taken: Taken) -> None:
        """Keep what was taken; the next letter says it.

        Raises:
            StorageError: it cannot be kept.
        """
        await self._keep(taken=taken)
        self.owes_word = True

    async def say(self, hello: Hello, wanted: Wanted | None, offer: Offer | None, header: bytes) -> None:
        """Write the next letter.

        Raises:
            StorageError: its number cannot be kept; nothing was said.
            ConnectionError: the folder does not answer.
        """
        self.owes_word = False
        try:
            await self._keep(said=self._register.said + 1)
            number, heard = self._register.said, self._register.heard
            letter = Letter(hello=hello, heard=heard, taken=self.taken, wanted=wanted, offer=offer)
            self._own = seal_letter(to_bytes(letter, header), number, self._me, self._certificate)
            await self._writing.write(letter_path(self._box_out, number), self._own)
        except BaseException:
            self.owes_word = True
            raise

    async def is_lost(self) -> bool:
        """Whether the newest letter is no longer in the folder as it was written.

        Raises:
            ConnectionError: the folder does not answer.
        """
        path = letter_path(self._box_out, self._register.said)
        return await self._reading.read(path, len(self._own) + 1) != self._own

    async def hear(self, most_bytes: int) -> tuple[Letter, bytes] | None:
        """The peer's newest letter and the header behind it, unless this process has heard it already.

        Args:
            most_bytes: a letter may not be longer.

        Raises:
            StorageError: its number cannot be kept; it will be heard later.
            ConnectionError: the folder does not answer.
        """
        # Both are read before either is heard: a letter must not count as heard and get lost when the folder goes away.
        found = [await self._reading.read(letter_path(self._box_in, slot), most_bytes + 1) for slot in (0, 1)]
        newest = None
        for slot, data in enumerate(found):
            if data is None or data == self._settled.get(slot):
                self._doubts[slot] = 0
                continue
            try:
                number, letter, header = self._opened(slot, data, most_bytes)
            except WireError as error:
                self._doubts[slot] += 1
                if self._doubts[slot] == DOUBTFUL_LOOKS:
                    self._refuse(error)
                continue
            if number < self._floor(slot):
                self._refuse(_replayed(number, self._register.heard))
                self.owes_word = True  # a peer that was set back learns how far it had come
            elif number >= self._register.heard and number > self._number:
                self.owes_word |= letter.heard > self._register.said
                await self._keep(heard=number, said=max(self._register.said, letter.heard))
                self._number = number
                newest = letter, header
            self._settled[slot] = data
        return newest

    def _opened(self, slot: int, data: bytes, most_bytes: int) -> tuple[int, Letter, bytes]:
        if len(data) > most_bytes:
            raise wire_error("letter", f"at most {most_bytes} bytes", "more")
        number, content = open_letter(data, self._me, self._certificate)
        if number % 2 != slot or number > MAX_NUMBER:
            raise wire_error("number", f"a number that belongs to letter-{slot}", number)
        return number, *from_bytes(content)

    def _floor(self, slot: int) -> int:
        """The oldest letter that may still lie in a slot: they take turns."""
        heard = self._register.heard
        return heard if heard % 2 == slot else heard - 1

    async def _keep(self, **changes: Any) -> None:
        register = self._register.model_copy(update=changes)
        if register != self._register:
            await asyncio.to_thread(write_atomically, self._path, register.model_dump_json(), 0o600)
            self._register = register


def _read_register(path: Path) -> Register:
    try:
        return Register.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return Register()
    except OSError as error:
        raise storage_error(error, f"wanted to read {path.name}") from error
    except ValidationError as error:
        raise StorageError(
            f"wanted the numbers of this site's letters; found a damaged file, at {path.name}; remove it: the site "
            "learns its own number from its peer, and takes a letter again that it had taken"
        ) from error


def _replayed(number: int, heard: int) -> LedgerError:
    return LedgerError(
        f"wanted letter {heard} or a later one; found letter {number}, in the mailbox; an old letter was put there "
        "again, or the mailbox or its sender was set back to a backup"
    )
