"""One site's part in a rehearsal, from turning up to the table of all lines and machines.

Law
    1. The real run's state is neither read nor written: all that is kept lies in ``rehearsal/`` inside the run's
       folder, which is held alone meanwhile, and is removed at the end. No real patient is looked at.
    2. It ends by itself. A peer that does not turn up in time is named, and the others rehearse without it.
    3. What is measured is what the real run does: the same node, service, journal and lines, with stopwatches around.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from gossamer import __version__
from gossamer.errors import ConfigurationError, GossamerError
from gossamer.gossip.algorithm import Mass, Params
from gossamer.gossip.topology import SiteId
from gossamer.learn.recipe import Recipe
from gossamer.learn.trainer import SegmentationTrainer
from gossamer.nets import build_network, output_rows, parameters_of
from gossamer.node.kinds import make_node
from gossamer.runtime.audit import AuditLog
from gossamer.runtime.audit_entries import Rehearsed
from gossamer.runtime.beside import Work, beside, during, during_at_most
from gossamer.runtime.contact import Contact
from gossamer.runtime.federation_file import Federation
from gossamer.runtime.joining import node_agreement
from gossamer.runtime.journal import Journal
from gossamer.runtime.preflight.finding import Finding
from gossamer.runtime.preflight.peers import UNREACHED
from gossamer.runtime.rehearsal.alone import own_folder, require_idle
from gossamer.runtime.rehearsal.apart import apart, take_letters_away
from gossamer.runtime.rehearsal.derived import agreement_of, masses_of, rehearsed, usual_plan
from gossamer.runtime.rehearsal.lines import is_up, look_at
from gossamer.runtime.rehearsal.own_lines import findings_of, measured
from gossamer.runtime.rehearsal.patients import PATIENTS, synthetic_cases
from gossamer.runtime.rehearsal.report import Report, report_of
from gossamer.runtime.rehearsal.stopwatch import TimedTrainer, TimedTransport, time_a_step
from gossamer.runtime.rehearsal.told import MEASURED, NOTHING, OVER, READY, measured_by, require_readable
from gossamer.runtime.rehearsal.turning_up import LOOK_S, down, ready, turn_up
from gossamer.runtime.service import SiteService
from gossamer.runtime.site_folder import SiteFolder
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

PHASE_S = 5.0
MOST_STEPS = 5
"""A local phase of a rehearsal: a few steps, so that exchanges come soon; one step where a step is slow."""

ENDLESS = 10**6
"""Steps of the learning rate's schedule: a rehearsal stays at its beginning."""


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
        await asyncio.to_thread(require_idle, self._site)
        with own_folder(self._site, self.folder):
            self._audit = AuditLog(self._site.path, self._site.identity)
            self._audit.note(Rehearsed(federation=self._real.sha256, release=__version__))
            self._make_contact()
            await self._take_letters_away()
            try:
                async with self._contact.opened():
                    return await self._rehearse()
            finally:
                await self._take_letters_away()

    def _make_contact(self) -> None:
        inner = transport_of(
            self._site,
            self._federation,
            limits=Limits.of(self._params, self._mass),
            folder=self.folder,
            on_refusal=self._note_refusal,
            open_mailbox=apart,
        )
        self._transport = TimedTransport(inner, self._share_bytes)
        self._transport.on_peer_started = self._peer_started
        self._contact = Contact(
            self._site,
            self._federation,
            self._transport,
            self.folder,
            require_readable=require_readable,
            on_notice=self._note_notice,
            on_refusal=self._note_refusal,
        )
        self._board = self._contact.board

    async def _rehearse(self) -> Report:
        trainer = await self._trainer()
        try:
            async with beside(self._contact.early.listen()) as hearing:
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
            told={site: measured_by(site, content) for site, content in self._board.said(MEASURED).items()},
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

    async def _time_a_step(self, hearing: Work, trainer: SegmentationTrainer) -> float:
        self._watch.say("Timing this machine with synthetic patients.")
        timing = asyncio.to_thread(time_a_step, trainer, self._params, self._real.settings.local_steps)
        step_s = await during(hearing, timing)
        self._watch.say(f"An optimiser step takes {step_s:.2g} s here.")
        return step_s

    async def _turn_up(self, hearing: Work) -> None:
        await turn_up(self._contact, hearing, wait_s=self._wait_s, lines_s=LINES_S, tell=self._watch.say)

    async def _exchange(self, trainer: TimedTrainer, step_s: float) -> dict[SiteId, Finding]:
        """A few short rounds with those that are here, and a look at why others are not; then tell, and hear."""
        ends_s = time.monotonic() + EXCHANGES_S
        peers = self._ready() - {self.me}
        looking = asyncio.create_task(
            asyncio.to_thread(look_at, down(self._contact), self._site, self._real, self._federation)
        )
        service = self._new_service(trainer, step_s)
        has_model = asyncio.Event()
        async with beside(service.run(lambda _model: has_model.set())) as working:
            if peers:
                self._watch.say(f"Exchanging shares with site {', '.join(sorted(peers))}.")
                await during_at_most(ends_s - time.monotonic(), working, has_model.wait())
                await during_at_most(ends_s - time.monotonic(), working, self._shares_through())
            findings = findings_of(
                self._transport,
                self._ready(),
                await during(working, looking),
                own_address=self._site.settings.address,
                wait_s=self._wait_s,
            )
            told = measured(self._transport, self._ready(), findings, step_s=step_s, between_s=trainer.between_s)
            await self._board.post(MEASURED, told)
            all_told = self._board.everyone(MEASURED, self._ready())
            await during_at_most(ends_s + TELLING_S - time.monotonic(), working, all_told)
            await self._take_leave(working)
        return findings

    def _new_service(self, trainer: TimedTrainer, step_s: float) -> SiteService:
        agreement = agreement_of(
            self._federation, self._plan, self._mass, {self.me, *self._transport.states} - self._ready()
        )
        steps = max(1, min(MOST_STEPS, self._real.settings.local_steps, int(PHASE_S / step_s)))
        self._service = SiteService(
            make_node(self.me, agreement, self._mass, self._params),
            trainer,
            self._transport,
            Journal(self.folder),
            local_steps=steps,
            on_notice=self._board.take,
            early=self._contact.early.frames,
            tell=self._watch.say,
        )
        return self._service

    async def _shares_through(self) -> None:
        """Until a whole share is with each peer whose line is up."""
        states = self._transport.states
        while any(is_up(states[peer]) and not self._transport.has_share(peer) for peer in states):
            await asyncio.sleep(LOOK_S)

    async def _take_leave(self, working: Work) -> None:
        """Stay until all have heard what all measured; the last word of all cannot be known to have come."""
        await self._board.post(OVER, NOTHING)
        await during_at_most(FAREWELL_S, working, self._board.everyone(OVER, self._board.said(MEASURED)))
        await during_at_most(LAST_WORD_S, working, self._board.told())

    def _ready(self) -> set[SiteId]:
        return ready(self._contact)

    def _note_notice(self, author: SiteId, topic: str) -> None:
        if topic == READY and author != self.me:
            self._watch.say(f"site {author} is here")

    def _note_refusal(self, who: str, error: GossamerError) -> None:
        if not isinstance(error, UNREACHED):
            self._audit.refuse(who, error.code, str(error))

    def _peer_started(self, peer: SiteId) -> None:
        self._board.tell(peer)
        if self._service is not None:
            self._service.peer_started(peer)

    async def _take_letters_away(self) -> None:
        if (mailbox := self._site.settings.mailbox) is not None:
            peers = [member.site_id for member in self._federation.settings.sites if member.name != self.me]
            open_store = apart(mailbox.address, mailbox.options)
            await asyncio.to_thread(take_letters_away, open_store, self._site.identity.site_id, peers)
