"""Two sites and the folder in which they meet, with short pauses and small parts."""

import asyncio
import shutil
import threading
from contextlib import asynccontextmanager, suppress

import pytest
import torch

from gossamer.transport import mailbox_line, parcels_in, parcels_out, sealing
from gossamer.transport.boxes import box_of, letter_path
from gossamer.transport.identity import new_identity
from gossamer.transport.line_messages import Hello
from gossamer.transport.mailbox import MailboxTransport
from gossamer.transport.stores import LocalStore
from gossamer.wire.frame import build_frame
from gossamer.wire.limits import Limits

PART = 4096
SIZE = 5 * PART // 4 - 100  # of float32: five parts, the last one shorter
LIMITS = Limits({"weight": (torch.float32, (SIZE,))}, {})
FEDERATION = "ab" * 32
IDENTITIES = {name: new_identity(f"hospital {name}") for name in ("north", "south", "outsider")}
IDS = {name: identity.site_id for name, identity in IDENTITIES.items()}


class Watched(LocalStore):
    """A store that counts, and fails when it is told to."""

    def __init__(self, root):
        super().__init__(root)
        self.reads, self.writes = [], []
        self.most_parts = None
        """So many parts are read and so many written, then the network is down for parts; never, if it is None."""
        self._left, self._one = None, threading.Lock()

    def allow(self, calls):
        """Fail after so many; never, if it is None."""
        with self._one:
            self._left = calls

    def read(self, path, most_bytes):
        self._use(path, self.reads)
        self.reads.append(path)
        return super().read(path, most_bytes)

    def write(self, path, content):
        self._use(path, self.writes)
        super().write(path, content)
        self.writes.append(path)

    def _use(self, path, before):
        with self._one:
            if self.parts([path]) and len(self.parts(before)) == self.most_parts:
                raise OSError("the network is down")
            if self._left == 0:
                raise OSError("the network is down")
            self._left = self._left and self._left - 1

    def parts(self, calls):
        return [path for path in calls if "letter" not in path]


class Site:
    """One life of a site's process, and what it was told."""

    def __init__(self, name, home, *, limits=LIMITS, **hello):
        other = {"north": "south", "south": "north"}[name]
        self.name, self.other = name, other
        self.store = Watched(home / "shared")
        self.refused, self.restarted = [], []
        self.transport = MailboxTransport(
            IDENTITIES[name],
            {other: IDENTITIES[other].certificate},
            open_store=lambda: self.store,
            hello=Hello(**{"protocols": (1,), "release": "0.1.0", "federation": FEDERATION} | hello),
            limits=limits,
            folder=home / name,
            on_refusal=lambda who, error: self.refused.append(f"{error.code} {error}"),
        )
        self.transport.on_peer_started = self.restarted.append
        self.line = self.transport.lines[other]
        self.has_offered = False
        """Whether the letter that lies in the folder offers a frame; all parts of that are there."""
        self._say, self.line._letters.say = self.line._letters.say, self._say_and_note

    def send(self, frame):
        return asyncio.create_task(self.transport.send(self.other, frame))

    async def one(self):
        sender, frame = await anext(self.transport.receive())
        assert sender == self.other
        return bytes(frame)

    async def _say_and_note(self, hello, wanted, offer, header):
        await self._say(hello, wanted, offer, header)
        self.has_offered = offer is not None

    def told(self, *words):
        return any(all(word in reason for word in words) for reason in self.refused)


class World:
    """The folder that both reach, and what the sites keep beside it."""

    identities, ids, federation = IDENTITIES, IDS, FEDERATION
    part_bytes, size, limits = PART, SIZE, LIMITS
    box, back = box_of(IDS["north"], IDS["south"]), box_of(IDS["south"], IDS["north"])

    def __init__(self, home):
        self.home, self.shared = home, home / "shared"
        self.shared.mkdir()

    def site(self, name, **settings):
        """One more life of a site's process."""
        return Site(name, self.home, **settings)

    def both(self):
        return self.site("north"), self.site("south")

    @staticmethod
    @asynccontextmanager
    async def alive(*sites):
        """Their processes run."""
        for site in sites:
            await site.transport.start()
        try:
            async with asyncio.timeout(120):
                yield
        finally:
            for site in sites:
                await site.transport.close()

    @staticmethod
    async def until(condition):
        while not condition():
            await asyncio.sleep(0.002)

    async def offered(self, a, b):
        """Let ``a`` put a frame into the box once ``b`` was heard and is gone again; the task that sends it."""
        async with self.alive(b):
            await self.until(lambda: a.line.state.heard_s)
        sending = a.send(self.frame())
        await self.until(lambda: a.has_offered)
        return sending

    @staticmethod
    async def stop(task):
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    @staticmethod
    def frame(seed=0, attempt=0):
        weight = torch.randn(SIZE, generator=torch.Generator().manual_seed(seed))
        return build_frame({"attempt": str(attempt)}, {"weight": weight})

    def remove(self, folder):
        """A folder in which sites may be writing just now: first out of their way, then whatever they still put in."""
        gone = folder.rename(self.home / "gone")
        while gone.exists():
            shutil.rmtree(gone, ignore_errors=True)

    def files(self):
        """All that lies in the folder."""
        return sorted(path.relative_to(self.shared).as_posix() for path in self.shared.rglob("*") if path.is_file())

    @property
    def letters(self):
        """What always lies there."""
        return sorted(letter_path(box, number) for box in (self.box, self.back) for number in (0, 1))

    @staticmethod
    def set_part_bytes(patch, size):
        for module in (sealing, parcels_in, parcels_out):
            patch.setattr(module, "PART_BYTES", size)


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setattr(mailbox_line, "LOOK_S", (0.002, 0.02))
    monkeypatch.setattr(mailbox_line, "RETRY_S", (0.002, 0.02))
    World.set_part_bytes(monkeypatch, PART)
    return World(tmp_path)
