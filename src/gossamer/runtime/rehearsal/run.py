"""One site's part in a rehearsal, from turning up to the table of all lines and machines.

Law
    1. The real run's state is neither read nor written: all that is kept lies in ``rehearsal/`` inside the run's
       folder, which is held alone meanwhile, and is removed at the end. No real patient is looked at.
    2. It ends by itself. A peer that does not turn up in time is named, and the others rehearse without it.
    3. What is measured is what the real run does: the same node, service, journal and lines, with stopwatches around.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Coroutine, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from gossamer import __version__
from gossamer.atomic import storage_error
from gossamer.errors import (
    ConfigurationError,
    FolderBusyError,
    GossamerError,
    ListenError,
    NoAnswerError,
    NoticeError,
    PortClosedError,
    StatusError,
)
from gossamer.gossip.algorithm import Mass, Params
from gossamer.gossip.topology import SiteId
from gossamer.learn.recipe import Recipe
from gossamer.learn.trainer import SegmentationTrainer
from gossamer.nets import build_network, output_rows, parameters_of
from gossamer.node.kinds import make_node
from gossamer.only_writer import only_writer
from gossamer.runtime.audit import AuditLog
from gossamer.runtime.audit_entries import Rehearsed
from gossamer.runtime.board import Board
from gossamer.runtime.early import EarlyHearing
from gossamer.runtime.federation_file import Federation
from gossamer.runtime.joining import node_agreement
from gossamer.runtime.journal import Journal
from gossamer.runtime.preflight.finding import Finding
from gossamer.runtime.preflight.peers import UNREACHED
from gossamer.runtime.rehearsal.apart import apart, take_letters_away
from gossamer.runtime.rehearsal.derived import agreement_of, masses_of, rehearsed, usual_plan
from gossamer.runtime.rehearsal.lines import is_up, look_at, not_through, not_turned_up, refused
from gossamer.runtime.rehearsal.patients import PATIENTS, synthetic_cases
from gossamer.runtime.rehearsal.report import Report, report_of
from gossamer.runtime.rehearsal.stopwatch import TimedTrainer, TimedTransport, time_a_step
from gossamer.runtime.rehearsal.told import (
    BEGUN,
    MEASURED,
    NOTHING,
    OVER,
    READY,
    LineTold,
    MeasuredTold,
    measured_by,
)
from gossamer.runtime.service import SiteService
from gossamer.runtime.site_folder import SiteFolder
from gossamer.runtime.status_endpoint import ask_status
from gossamer.runtime.ways import transport_of
from gossamer.watch import Watch
from gossamer.wire.limits import Limits

FOLDER = "rehearsal"

WAIT_S = 600.0
"""How long the others are waited for: people start it at an agreed time, and by hand."""

LINES_S = 75.0
"""How long lines are waited for once all are there: the site that does not dial first tries after half a minute, and
pauses of redialling grow to a minute."""

EXCHANGES_S = 900.0
"""Longest time for the rounds: of a line that needs longer for a share, the part that got through tells how slow it
is."""

TELLING_S = 30.0
"""How much longer what others measured is waited for: they may have begun so much later."""

FAREWELL_S = 20.0
"""How long a site that has everything stays for those that have not said so."""

LAST_WORD_S = 5.0

GONE = (PortClosedError.code, NoAnswerError.code)
"""What a look finds of a peer that has left; what it said while it was there tells more."""

LOOK_S = 0.1
"""How often it is looked whether all are there."""

PHASE_S = 5.0
MOST_STEPS = 5
"""A local phase of a rehearsal: a few steps, so that exchanges come soon; one step where a step is slow."""

ENDLESS = 10**6
"""Steps of the learning rate's schedule: a rehearsal stays at its beginning."""


Value = TypeVar("Value")


class Rehearsal:
    """A site that rehearses a federation."""

    def __init__(self, site: SiteFolder, federation: Federation, watch: Watch, *, wait_s: float = WAIT_S) -> None:
        """Ready to run.

        Args:
            site: this site's folder.
            federation: the file that it approved.
            watch: told how it goes.
            wait_s: how long peers are waited for.

        Raises:
            ConfigurationError: the site is not in the roster, has not approved these bytes, or is alone in it.
            PlanError: no plan follows from the file's rules.
        """
        site.require_approved(federation)
        if len(federation.settings.sites) < 2:
            raise ConfigurationError(
                "wanted other sites to rehearse with; found this one alone, in the federation file; add their cards "
                "with: gossamer federation add-site"
            )
        self._site = site
        self._watch = watch
        self._wait_s = wait_s
        self._real = federation
        self._federation = rehearsed(federation)
        self.me = SiteId(federation.member(site.identity.site_id).name)
        self.folder = site.run_folder(federation) / FOLDER
        self._plan = usual_plan(federation.settings)
        self._network = build_network(self._plan, federation.settings.seed)
        self._params: Params = parameters_of(self._network)
        self._share_bytes = sum(tensor.nbytes for tensor in self._params.values())
        of_each = (float(PATIENTS),) * len(self._plan.structures)
        self._mass = Mass(float(PATIENTS), dict.fromkeys(output_rows(self._network), of_each))
        self._service: SiteService | None = None

    async def run(self) -> Report:
        """Rehearse, to the end.

        Raises:
            FolderBusyError: this site is at its real run, or rehearses already.
            ListenError: the address to listen on is taken or not this machine's.
            ConfigurationError: there is no way to a peer.
            StorageError: the disk does not keep what must be kept.
        """
        await asyncio.to_thread(self._require_idle)
        with _own_folder(self._site, self.folder):
            self._audit = AuditLog(self._site.path, self._site.identity)
            self._audit.note(Rehearsed(federation=self._real.sha256, release=__version__))
            self._open_lines()
            await self._take_letters_away()
            try:
                await self._listen()
                self.board.tell_everyone()
                return await self._rehearse()
            finally:
                await self.board.close()
                await self.transport.close()
                await self._take_letters_away()

    def _open_lines(self) -> None:
        settings = self._federation.settings
        inner = transport_of(
            self._site,
            self._federation,
            limits=Limits.of(self._params, self._mass),
            folder=self.folder,
            on_refusal=self._note_refusal,
            open_mailbox=apart,
        )
        self.transport = TimedTransport(inner, self._share_bytes)
        self.transport.on_peer_started = self._peer_started
        self.board = Board(
            self.me,
            self._site.identity,
            {SiteId(member.name): member.identity for member in settings.sites},
            federation=self._federation.sha256,
            folder=self.folder / "board",
            transport=self.transport,
            on_notice=self._note_notice,
        )
        self._early = EarlyHearing(self.transport, self.board, self._note_refusal)

    async def _listen(self) -> None:
        try:
            await self.transport.start()
        except ConnectionError as error:
            raise ListenError(
                f"wanted to listen on {self._site.settings.listen}; found that it cannot be had; is the site running "
                "already, or is that not an address of this machine? correct 'listen' in site.toml"
            ) from error

    async def _rehearse(self) -> Report:
        trainer = await self._trainer()
        try:
            async with _beside(self._early.listen()) as hearing:
                step_s = await self._time_a_step(hearing, trainer)
                await self._turn_up(hearing)
            timed = TimedTrainer(trainer)
            findings = await self._exchange(timed, step_s)
        finally:
            trainer.close()
        return report_of(
            self._real,
            node_agreement(self._real.settings, self._real.sha256, masses_of(self._real.settings, self._mass)),
            me=self.me,
            share_bytes=self._share_bytes,
            ready=self._ready(),
            told=self._told(),
            findings=findings,
        )

    async def _trainer(self) -> SegmentationTrainer:
        """Local training, on synthetic patients."""
        settings = self._federation.settings
        cases = await asyncio.to_thread(synthetic_cases, self._plan, self.me, self.folder / "patients")
        return SegmentationTrainer(
            cases, self._plan, self._recipe(), seed=settings.seed, site=self.me, total_steps=ENDLESS
        )

    def _recipe(self) -> Recipe:
        recipe, threads = self._federation.settings.recipe, self._site.settings.threads
        return replace(recipe, threads=threads) if threads else recipe

    async def _time_a_step(self, hearing: asyncio.Task[None], trainer: SegmentationTrainer) -> float:
        self._watch.say("Timing this machine with synthetic patients.")
        timing = asyncio.to_thread(time_a_step, trainer, self._params, self._real.settings.local_steps)
        step_s = await _while(hearing, timing)
        assert step_s is not None
        self._watch.say(f"An optimiser step takes {step_s:.2g} s here.")
        return step_s

    async def _turn_up(self, hearing: asyncio.Task[None]) -> None:
        """Say that this site is here; then wait for the others, for the lines, and for the others' lines."""
        await self.board.post(READY, NOTHING)
        if missing := self.board.missing(READY):
            self._watch.say(f"waiting for site {', '.join(missing)}, {self._wait_s / 60:.3g} min at most")
        await _while(hearing, self._all_turned_up(), self._wait_s)
        if down := self._down() & self._ready():
            self._watch.say(f"waiting for the line to site {', '.join(sorted(down))}")
        await _while(hearing, self._lines_up(), LINES_S)
        await self.board.post(BEGUN, NOTHING)
        await _while(hearing, self.board.everyone(BEGUN, self._ready()), LINES_S)

    async def _all_turned_up(self) -> None:
        """Until all have, or one says that it waits no longer."""
        while self.board.missing(READY) and not self.board.said(BEGUN):
            await asyncio.sleep(LOOK_S)

    async def _lines_up(self) -> None:
        while self._down() & self._ready():
            await asyncio.sleep(LOOK_S)

    async def _exchange(self, trainer: TimedTrainer, step_s: float) -> dict[SiteId, Finding]:
        """A few short rounds with those that are here, and a look at why others are not; then tell, and hear."""
        ends_s = time.monotonic() + EXCHANGES_S
        peers = self._ready() - {self.me}
        looking = asyncio.create_task(
            asyncio.to_thread(look_at, self._down(), self._site, self._real, self._federation)
        )
        service = self._new_service(trainer, step_s)
        has_model = asyncio.Event()
        async with _beside(service.run(lambda _model: has_model.set())) as working:
            if peers:
                self._watch.say(f"Exchanging shares with site {', '.join(sorted(peers))}.")
                await _while(working, has_model.wait(), ends_s - time.monotonic())
                await _while(working, self._shares_through(), ends_s - time.monotonic())
            findings = self._findings(await _while(working, looking) or {})
            await self.board.post(MEASURED, self._measured(step_s, trainer.between_s, findings))
            told = self.board.everyone(MEASURED, self._ready())
            await _while(working, told, ends_s + TELLING_S - time.monotonic())
            await self._take_leave(working)
        return findings

    def _new_service(self, trainer: TimedTrainer, step_s: float) -> SiteService:
        agreement = agreement_of(self._federation, self._plan, self._mass, self._all() - self._ready())
        steps = max(1, min(MOST_STEPS, self._real.settings.local_steps, int(PHASE_S / step_s)))
        self._service = SiteService(
            make_node(self.me, agreement, self._mass, self._params),
            trainer,
            self.transport,
            Journal(self.folder),
            local_steps=steps,
            on_notice=self.board.take,
            early=self._early.frames,
            tell=self._watch.say,
        )
        return self._service

    async def _shares_through(self) -> None:
        """Until a whole share is with each peer whose line is up."""
        states = self.transport.states
        while any(is_up(states[peer]) and not self.transport.has_share(peer) for peer in states):
            await asyncio.sleep(LOOK_S)

    async def _take_leave(self, working: asyncio.Task[None]) -> None:
        """Stay until all have heard what all measured; the last word of all cannot be known to have come."""
        await self.board.post(OVER, NOTHING)
        await _while(working, self.board.everyone(OVER, self.board.said(MEASURED)), FAREWELL_S)
        await _while(working, self.board.told(), LAST_WORD_S)

    def _findings(self, looked: Mapping[SiteId, Finding]) -> dict[SiteId, Finding]:
        """What is wrong with the lines over which nothing of a share got through."""
        missing = [peer for peer in self.transport.states if self.transport.share_s(peer) is None]
        return {peer: self._finding(peer, looked.get(peer)) for peer in missing}

    def _finding(self, peer: SiteId, looked: Finding | None) -> Finding:
        refusal = self.transport.states[peer].refusal
        if refusal is not None and (looked is None or looked.code in GONE):
            return refused(peer, refusal)
        if looked is not None:
            return looked
        is_here = peer in self._ready()
        return not_through(peer, self._site.settings.address) if is_here else not_turned_up(peer, self._wait_s)

    def _measured(self, step_s: float, between_s: float, findings: Mapping[SiteId, Finding]) -> bytes:
        lines = {str(peer): self._line(peer, findings.get(peer)) for peer in self.transport.states}
        told = MeasuredTold(release=__version__, step_s=step_s, between_s=between_s, lines=lines)
        return told.model_dump_json().encode()

    def _line(self, peer: SiteId, finding: Finding | None) -> LineTold:
        if finding is not None:
            return LineTold(state="blocked" if peer in self._ready() else "absent", code=finding.code)
        return LineTold(
            state="up",
            round_trip_s=self.transport.round_trip_s(peer),
            share_s=self.transport.share_s(peer),
            is_whole=self.transport.has_share(peer),
        )

    def _told(self) -> dict[SiteId, MeasuredTold]:
        told = {}
        for site, content in self.board.said(MEASURED).items():
            try:
                told[site] = measured_by(site, content)
            except NoticeError as refusal:
                self._note_refusal(site, refusal)
        return told

    def _all(self) -> set[SiteId]:
        return {self.me, *self.transport.states}

    def _ready(self) -> set[SiteId]:
        return set(self.board.said(READY))

    def _down(self) -> set[SiteId]:
        return {peer for peer, state in self.transport.states.items() if not is_up(state)}

    def _note_notice(self, author: SiteId, topic: str) -> None:
        if topic == READY and author != self.me:
            self._watch.say(f"site {author} is here")

    def _note_refusal(self, who: str, error: GossamerError) -> None:
        if not isinstance(error, UNREACHED):
            self._audit.refuse(who, error.code, str(error))

    def _peer_started(self, peer: SiteId) -> None:
        self.board.tell(peer)
        if self._service is not None:
            self._service.peer_started(peer)

    def _require_idle(self) -> None:
        """Refuse while this site runs, in whatever federation: its port, its machine and its lines are taken."""
        try:
            running = ask_status(self._site.settings.status)
        except StatusError:
            return
        if running.site_id == self._site.identity.site_id:
            raise _busy(self._site)

    async def _take_letters_away(self) -> None:
        if (mailbox := self._site.settings.mailbox) is not None:
            peers = [member.site_id for member in self._federation.settings.sites if member.name != self.me]
            open_store = apart(mailbox.address, mailbox.options)
            await asyncio.to_thread(take_letters_away, open_store, self._site.identity.site_id, peers)


@contextmanager
def _own_folder(site: SiteFolder, folder: Path) -> Iterator[None]:
    """The rehearsal's folder, new; the run's folder around it is held meanwhile, so that the real run cannot begin."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise storage_error(error, "wanted a folder for this federation") from error
    with ExitStack() as held:
        try:
            held.enter_context(only_writer(folder.parent))
        except FolderBusyError as error:
            raise _busy(site) from error
        shutil.rmtree(folder, ignore_errors=True)  # a rehearsal that was killed left it
        try:
            folder.mkdir(mode=0o700)
            yield
        except OSError as error:
            raise storage_error(error, "wanted a folder for the rehearsal") from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _busy(site: SiteFolder) -> FolderBusyError:
    return FolderBusyError(
        f"site {site.settings.name}: wanted to rehearse; found this site at work, in a run or another rehearsal; end "
        "that first (what it has done is kept), rehearse, and start it again"
    )


@asynccontextmanager
async def _beside(work: Coroutine[object, object, None]) -> AsyncIterator[asyncio.Task[None]]:
    """Let something go on until the block ends."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _while(work: asyncio.Task[None], wanted: Awaitable[Value], seconds: float | None = None) -> Value | None:
    """Wait for something, so long at most; what ends the work beside it, ends this too. None if it did not come."""
    waiting = asyncio.ensure_future(wanted)
    try:
        await asyncio.wait({work, waiting}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            await work
        return waiting.result() if waiting.done() else None
    finally:
        waiting.cancel()
