"""Sites that both only dial out meet at a relay, which joins their connections and can read nothing.

Law
    1. Only sites of the roster are spoken with, and each is who its certificate says, as on every line
       (``relay_stream``). Who runs the relay can delay and part, and is told of when it does more (``relay_envelope``).
    2. Every pair has a connection of its own, whose ends both wait at the relay: there is nobody to dial.
    3. The relay is never the reason for an end: while it cannot be reached, frames wait, and it is called again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

from cryptography import x509

from gossamer.errors import GossamerError, IdentityError, PeerError, RelayAwayError, RelayRefusedError, ResourceError
from gossamer.gossip.topology import SiteId
from gossamer.transport.identity import Identity
from gossamer.transport.line import Line
from gossamer.transport.line_messages import Hello
from gossamer.transport.peer_lines import LinesTransport, folder_of_line
from gossamer.transport.relay_meeting import RelayPlace, meet
from gossamer.transport.relay_pair import Pair, pair_of
from gossamer.transport.relay_stream import secured
from gossamer.wire.limits import Limits

REDIAL_S = (0.5, 60.0)
"""Shortest and longest pause before a relay is called again; doubled each time that no line came of it."""


class RelayTransport(LinesTransport[Line]):
    """This site's lines through one relay to some of its peers."""

    def __init__(
        self,
        me: Identity,
        peers: Mapping[SiteId, x509.Certificate],
        *,
        relay: RelayPlace,
        tls_file: Path,
        hello: Hello,
        limits: Limits,
        folder: Path,
        on_refusal: Callable[[str, GossamerError], None] = lambda who, error: None,
    ) -> None:
        """Lines without streams; ``start`` makes them.

        Args:
            me: this site.
            peers: the identities of the others, by name.
            relay: where to meet them.
            tls_file: this site's key and certificates for connections.
            hello: what this site says first.
            limits: of frames.
            folder: for what is coming in.
            on_refusal: told of each thing that was refused, and why.
        """
        super().__init__(len(peers))
        self._peers = peers
        self._pairs = {name: pair_of(me, certificate, hello.federation) for name, certificate in peers.items()}
        self._relay = relay
        self._tls_file = tls_file
        self._on_refusal = on_refusal
        self._meeting: list[asyncio.Task[None]] = []
        for name, certificate in peers.items():
            own = folder_of_line(folder, certificate)
            self.lines[name] = Line(
                name, hello, limits=limits, folder=own, deliver=self._deliver, on_peer_started=self._note_start
            )

    async def start(self) -> None:
        """Begin to meet the peers."""
        self._meeting = [asyncio.create_task(self._keep_meeting(name)) for name in self.lines]

    async def close(self) -> None:
        """See ``Transport``."""
        for task in self._meeting:
            task.cancel()
        await asyncio.gather(*self._meeting, return_exceptions=True)

    async def _keep_meeting(self, peer: SiteId) -> None:
        state = self.lines[peer].state
        pause_s, longest_s = REDIAL_S
        relays_fault: PeerError | None = None

        def let_in() -> None:
            if state.refusal is relays_fault:
                state.refusal = None

        while True:
            before = state.streams
            try:
                await self._meet(peer, self._pairs[peer], let_in)
            except ConnectionError:
                pass
            except RelayAwayError as error:
                relays_fault = state.refusal = error  # nobody refused anything; but people want to know
            except RelayRefusedError as error:
                relays_fault = state.refusal = error
                self._on_refusal("this site", error)
            except (PeerError, IdentityError) as error:
                state.refusal = error
                self._on_refusal(peer, error)
            except ResourceError as error:
                await self._fail(error)
            pause_s = REDIAL_S[0] if state.streams > before else min(2 * pause_s, longest_s)
            await asyncio.sleep(pause_s)

    async def _meet(self, peer: SiteId, pair: Pair, on_let_in: Callable[[], None]) -> None:
        """Be on the line with a peer until it breaks."""
        sealed = await meet(self._relay, pair, peer, on_let_in)
        stream = await secured(
            sealed, answers=pair.side == 0, certificate=self._peers[peer], peer=peer, tls_file=self._tls_file
        )
        await self.lines[peer].speak(stream)
