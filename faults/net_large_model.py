"""A large model over a slow line that is cut again and again: each hand-over goes on where the last one broke."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from faults.campaign import Campaign, Result
from faults.net_proxy import FaultProxy
from faults.ports import own_address
from gossamer.gossip.topology import SiteId
from gossamer.transport.grpc_lines import GrpcTransport, Peer
from gossamer.transport.identity import Identity, new_identity, new_tls_certificate
from gossamer.transport.line_messages import CHUNK_BYTES, Hello
from gossamer.wire.frame import Frame, build_frame
from gossamer.wire.limits import Limits

MB = 10**6
SMALL_MB, FULL_MB = 24, 1000
MODEL = "model"
PART_BYTES = 4_000_003
"""Of a tensor that is sent again and again: odd, so that each byte of the model has its place."""

READ_BYTES = 2**14
ROOM_BYTES = 2**18
"""What the proxy takes at a time, and lets wait in its sockets: a real line holds little. With less room than a few
packets of loopback (64 KiB each), TCP falls into waiting for its timers."""

MOST_LOST_BYTES = 2 * CHUNK_BYTES
"""At a cut: the chunk that is under way, and what gRPC had taken in and not yet handed on."""


@dataclass(frozen=True)
class Way:
    """A line.

    Attributes:
        bytes_per_s: in each direction.
        bytes_to_cut: so much is carried between two cuts, one way.
    """

    bytes_per_s: float
    bytes_to_cut: int


SLOW, FASTER = Way(8 * MB, 4 * MB), Way(80 * MB, 60 * MB)
"""Cut every half second; and, for a gigabyte, nearly every second."""


class SlowProxy(FaultProxy):
    """Carries no more than so many bytes a second, and cuts the way whenever it has carried so many.

    Cuts are counted in bytes, not by the clock: on a machine that has no time each connection still gets on.
    """

    def __init__(self, target: str, way: Way) -> None:
        """Listen, as any ``FaultProxy``."""
        self._way = way
        self.carried = self.cuts = 0
        super().__init__(target)

    def _pump(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        for each, option in ((source, socket.SO_RCVBUF), (sink, socket.SO_SNDBUF)):
            each.setsockopt(socket.SOL_SOCKET, option, ROOM_BYTES)
        left = self._way.bytes_to_cut
        due_s = time.monotonic()
        with suppress(OSError):
            while (is_answer or left > 0) and (data := source.recv(READ_BYTES)):
                sink.sendall(data)
                due_s = max(due_s, time.monotonic() - 0.1) + len(data) / self._way.bytes_per_s
                if not is_answer:
                    self.carried += len(data)
                    left -= len(data)
                if (early_s := due_s - time.monotonic()) > 0:
                    time.sleep(early_s)
            self.cuts += not is_answer and left <= 0
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@dataclass
class Carried:
    """What came of one large frame.

    Attributes:
        is_whole: whether its bytes came.
        cuts: of the line, meanwhile.
        carried_bytes: over the line, all that was sent again among them.
    """

    is_whole: bool = False
    cuts: int = 0
    carried_bytes: int = 0


def large_model(folder: Path, size_bytes: int, way: Way, seed: int) -> Carried:
    """Send one frame of that size from a site that dials to one that answers."""
    piece = torch.randint(256, (PART_BYTES,), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    count, rest = divmod(size_bytes, PART_BYTES)
    frame = Frame(build_frame({}, {}).header, (piece,) * count + (piece[:rest],))
    return asyncio.run(_carry(folder, frame, way))


async def _carry(folder: Path, frame: Frame, way: Way) -> Carried:
    identities = {name: new_identity(name) for name in ("dials", "answers")}
    address = own_address()
    with SlowProxy(address, way) as proxy:
        limits = Limits({MODEL: (torch.uint8, (frame.body_bytes,))}, {})
        answers = _site("answers", identities, limits, folder, listen=address)
        dials = _site("dials", identities, limits, folder, dials=proxy.address)
        for site in (answers, dials):
            await site.start()
        sending = asyncio.create_task(dials.send(SiteId("answers"), frame))
        try:
            async with asyncio.timeout(120 + 20 * frame.body_bytes / way.bytes_per_s):
                _, came = await anext(answers.receive())
                await sending
        except TimeoutError:
            return Carried(cuts=proxy.cuts, carried_bytes=proxy.carried)
        finally:
            sending.cancel()
            for site in (dials, answers):
                await site.close()
        assert isinstance(came, memoryview)
        sha256 = await asyncio.to_thread(lambda: hashlib.sha256(came[len(frame.header) :]).digest())
        return Carried(sha256 == frame.body_sha256, proxy.cuts, proxy.carried)


def _site(
    me: str,
    identities: dict[str, Identity],
    limits: Limits,
    folder: Path,
    *,
    listen: str | None = None,
    dials: str | None = None,
) -> GrpcTransport:
    tls = new_tls_certificate(identities[me])
    [peer] = set(identities) - {me}
    return GrpcTransport(
        Peer(SiteId(me), identities[me].certificate, listen),
        {SiteId(peer): Peer(SiteId(peer), identities[peer].certificate, dials)},
        certificate=lambda: tls,
        hello=Hello(protocols=(1,), release="faults", federation="0" * 64),
        limits=limits,
        folder=folder / me,
        listen=listen,
    )


def large_model_on_cut_lines(size: int, seed: int, folder: Path) -> Result:
    """A model of ``size`` megabytes."""
    way = SLOW if size < 10 * SMALL_MB else FASTER
    carried = large_model(folder, size * MB, way, seed)
    again_bytes = carried.carried_bytes - size * MB
    bound_bytes = size * MB // 50 + (carried.cuts + 1) * MOST_LOST_BYTES  # 2 % are TLS, HTTP/2 and greetings
    state = "whole" if carried.is_whole else "NOT whole"
    return Result(
        f"{size:,} MB at {way.bytes_per_s / MB:.0f} MB/s, cut every {way.bytes_to_cut / MB:.0f} MB: {state}",
        carried.is_whole and carried.cuts >= size * MB // way.bytes_to_cut - 1 and again_bytes < bound_bytes,
        {"cuts": carried.cuts, "sent again, MB": round(again_bytes / MB, 1)},
    )


CAMPAIGNS = (
    Campaign(
        "large-model",
        "a large model arrives over a line that is cut",
        "one frame through mutual TLS and a proxy that keeps a rate and cuts the connection, until it is there",
        large_model_on_cut_lines,
        SMALL_MB,
        FULL_MB,
    ),
)
