"""Small sites in this process with real lines between them, on which single frames are lost, repeated and reordered."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from faults.net_proxy import FaultProxy
from faults.ports import own_address
from faults.sites import Plan, Walking, in_digits
from gossamer.gossip.algorithm import Params
from gossamer.gossip.topology import SiteId
from gossamer.node.kinds import make_node
from gossamer.runtime.journal import Journal
from gossamer.runtime.service import SiteService
from gossamer.transport.grpc_lines import GrpcTransport, Peer
from gossamer.transport.identity import new_identity, new_tls_certificate
from gossamer.transport.line_messages import Hello
from gossamer.wire.frame import Frame
from gossamer.wire.limits import Limits

RESEND_S = 0.25
"""So soon a share without a receipt is sent again: a federation with hours of training has an hour."""

LOSS = 0.3
COPIES = 10
LATE_S = 0.1
"""Each copy comes at a moment of its own within that: so they overtake each other."""


class FaultyLines(GrpcTransport):
    """Loses 30 % of the frames, and hands each of the others over ten times, each when it likes."""

    chance: random.Random
    counts: Counter[str]
    _late: set[asyncio.Task[None]]

    async def send(self, to: SiteId, frame: Frame) -> None:
        """See ``Transport``; best effort indeed."""
        if self.chance.random() < LOSS:
            self.counts["frames lost"] += 1
            return
        self.counts["frames repeated"] += 1
        for _ in range(COPIES):
            task = asyncio.create_task(self._send_late(to, frame, self.chance.uniform(0.0, LATE_S)))
            self._late.add(task)
            task.add_done_callback(self._late.discard)

    async def _send_late(self, to: SiteId, frame: Frame, wait_s: float) -> None:
        await asyncio.sleep(wait_s)
        await super().send(to, frame)

    async def close(self) -> None:
        """See ``Transport``."""
        for task in self._late:
            task.cancel()
        await super().close()


class SmallSites:
    """The sites of a plan, each behind a proxy, all in this process."""

    def __init__(self, folder: Path, plan: Plan, *, resend_after_s: float | None = None) -> None:
        """Make keys, folders and proxies; nothing runs yet.

        Args:
            folder: where.
            plan: what they agree on.
            resend_after_s: of the agreement; that of the plan by default.
        """
        self.plan, self.folder = plan, folder
        self.models: dict[str, dict[str, str]] = {}
        self.services: dict[str, SiteService] = {}
        self._resend_after_s = resend_after_s
        # In the order of their ids, so that the last site is dialled by all others, and all its lines are at its proxy.
        made = sorted((new_identity(f"site {name}") for name in plan.names), key=lambda identity: identity.site_id)
        self._identities = dict(zip(plan.names, made, strict=True))
        self._listens = {name: own_address(f"127.0.0.{at}") for at, name in enumerate(plan.names, start=1)}
        self._closing = ExitStack()
        self.proxies = {
            name: self._closing.enter_context(FaultProxy(address)) for name, address in self._listens.items()
        }
        for name in plan.names:
            (folder / name).mkdir(parents=True)

    async def run(
        self,
        seconds: float,
        *,
        kind: type[GrpcTransport] = GrpcTransport,
        prepare: Callable[[GrpcTransport], None] = lambda transport: None,
        disturb: Callable[[], asyncio.Future[None]] | None = None,
    ) -> bool:
        """Let all live until each has its model.

        Args:
            seconds: how long at most.
            kind: of the transport.
            prepare: given each transport before it starts.
            disturb: something that goes on beside them.

        Returns:
            Whether all had one in time.
        """
        lives: list[asyncio.Future[None]] = [
            asyncio.ensure_future(self._live(name, kind, prepare)) for name in self.plan.names
        ]
        if disturb is not None:
            lives.append(disturb())
        try:
            async with asyncio.timeout(seconds):
                while len(self.models) < self.plan.sites:
                    for life in lives:
                        if life.done():
                            life.result()
                    await asyncio.sleep(0.02)
            return True
        except TimeoutError:
            return False
        finally:
            for life in lives:
                life.cancel()
            await asyncio.gather(*lives, return_exceptions=True)
            self._closing.close()

    async def _live(self, me: SiteId, kind: type[GrpcTransport], prepare: Callable[[GrpcTransport], None]) -> None:
        node = self.plan.nodes()[me]
        state = node.snapshot().state
        if self._resend_after_s is not None:
            agreement = replace(node.agreement, resend_after_s=self._resend_after_s)
            node = make_node(me, agreement, state.own, state.params)
        tls = new_tls_certificate(self._identities[me])
        transport = kind(
            self._peer(me),
            {peer: self._peer(peer) for peer in self.plan.names if peer != me},
            certificate=lambda: tls,
            hello=Hello(protocols=(1,), release="faults", federation=node.agreement.federation),
            limits=Limits.of(state.params, state.own),
            folder=self.folder / me / "incoming",
            listen=self._listens[me],
        )
        prepare(transport)

        def finish(model: Params) -> None:
            self.models[me] = in_digits(model)

        trainer = Walking(me, self.plan.seed, self.plan.fit_s)
        service = SiteService(node, trainer, transport, Journal(self.folder / me), local_steps=2)
        self.services[me] = service
        transport.on_peer_started = service.peer_started
        try:
            await transport.start()
            await service.run(finish)
        finally:
            await transport.close()

    def _peer(self, name: SiteId) -> Peer:
        return Peer(name, self._identities[name].certificate, self.proxies[name].address)
