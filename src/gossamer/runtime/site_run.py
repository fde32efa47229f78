"""One hospital's part in a federation, from joining to the table of all sites' results.

::

    <site>/runs/<federation>/board/                what sites told each other once
                            /data.sha256           the data this site joined with
                            /state-*.safetensors   node and trainer (``journal``)
                            /incoming/             frames that have half come; mailbox/ likewise
                            /model.safetensors     the model, when it is there; own-model.safetensors beside it where
                                                   this site's own did much better on its patients
                            /results.json          the table, when all have told

Law: every step leaves its result on the disk, and begins with looking for it; so a run that was stopped goes on where
it stopped, and one that has ended says so.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from gossamer import __version__
from gossamer.atomic import storage_error, write_atomically
from gossamer.data.fingerprint import Fingerprint
from gossamer.data.plan import Plan
from gossamer.data.prepared import PreparedDataset
from gossamer.errors import GossamerError, ListenError, NoticeError
from gossamer.gossip.algorithm import Mass, Params
from gossamer.gossip.topology import SiteId
from gossamer.learn.floor import FlooredTrainer, floor_under
from gossamer.learn.mass import mass_told
from gossamer.learn.recipe import Recipe
from gossamer.learn.trainer import SegmentationTrainer
from gossamer.nets import build_network, output_rows, parameters_of
from gossamer.node.kinds import make_node
from gossamer.only_writer import only_writer
from gossamer.runtime.audit import AuditLog
from gossamer.runtime.audit_entries import Joined as PeerJoined
from gossamer.runtime.audit_entries import Started
from gossamer.runtime.board import Board
from gossamer.runtime.early import UNKNOWN_NETWORK, EarlyHearing
from gossamer.runtime.federation_file import Federation
from gossamer.runtime.handshakes import refusal_for
from gossamer.runtime.joining import (
    JOIN,
    PLAN,
    agreed_plan,
    agreement_hash,
    fingerprints_of,
    join_notice,
    node_agreement,
    plan_notice,
    require_same_plan,
)
from gossamer.runtime.journal import Journal
from gossamer.runtime.own_patients import OwnPatients
from gossamer.runtime.preflight.peers import UNREACHED
from gossamer.runtime.service import Progress, SiteService
from gossamer.runtime.site_folder import SiteFolder
from gossamer.runtime.site_models import SiteModels
from gossamer.runtime.site_results import (
    RESULT,
    FederationResults,
    OrganResult,
    federation_results,
    result_notice,
)
from gossamer.runtime.status import PeerStatus, SiteStatus, Stage, at_time
from gossamer.runtime.status_endpoint import status_endpoint
from gossamer.runtime.ways import transport_of
from gossamer.watch import Watch
from gossamer.wire.limits import Limits

END = "end"
"""The topic on which a site says that it has everything."""

LINGER_S = 3600.0
"""How long a site that has everything stays for those that have not said so: an hour covers a reboot."""

LAST_WORD_S = 5.0
"""By then all have everything; only who hears that this site has it too may leave at once."""

PORT_FREE_S = 10.0
"""How long a port may stay taken after a stop: the process before is still ending."""

Value = TypeVar("Value")


@dataclass(frozen=True)
class Joined:
    """What all sites have agreed on.

    Attributes:
        plan: the same at all sites.
        fingerprints: by site, as told so far.
    """

    plan: Plan
    fingerprints: Mapping[SiteId, Fingerprint]


class SiteRun:
    """A site at work in one federation."""

    def __init__(self, site: SiteFolder, federation: Federation, watch: Watch) -> None:
        """Ready to run.

        Args:
            site: this site's folder.
            federation: the file that it approved.
            watch: told how it goes.

        Raises:
            ConfigurationError: the site is not in the roster, or has not approved these bytes.
            DatasetError: its data cannot be opened, or is other data than it joined with.
            NoTrainingCaseError: there is nothing to train on.
            StorageError: its folder cannot be written.
        """
        site.require_approved(federation)
        self._site = site
        self._federation = federation
        self._watch = watch
        self.me = SiteId(federation.member(site.identity.site_id).name)
        self.folder = site.run_folder(federation)
        _make(self.folder)
        self._patients = OwnPatients(site, self.folder, watch)
        self._audit = AuditLog(site.path, site.identity)
        self.transport = transport_of(
            site, federation, limits=UNKNOWN_NETWORK, folder=self.folder, on_refusal=self._note_refusal
        )
        self.board = Board(
            self.me,
            site.identity,
            {SiteId(member.name): member.identity for member in federation.settings.sites},
            federation=federation.sha256,
            folder=self.folder / "board",
            transport=self.transport,
            on_notice=self._note_notice,
        )
        self._early = EarlyHearing(self.transport, self.board, self._note_refusal)
        self._models = SiteModels(self.folder, federation, self.board, self._audit, watch)
        self.service: SiteService | None = None
        self._floor: FlooredTrainer | None = None
        self._stage: Stage | None = "joining"

    @property
    def model(self) -> Path:
        """The model's file, when it is there."""
        return self._models.path

    @property
    def peers(self) -> tuple[SiteId, ...]:
        """The other sites."""
        return tuple(sorted(self.transport.states))

    async def run(self) -> FederationResults:
        """Do what is left to do, to the end of the run.

        Raises:
            PlanError: the sites do not find the same plan.
            StorageError: the disk does not keep what must be kept.
            ScheduleError: training fails.
            ListenError: an address to listen on is taken or not this machine's.
        """
        with only_writer(self.folder):
            self._audit.note(Started(federation=self._federation.sha256, release=__version__))
            self.transport.on_peer_started = self._peer_started
            with status_endpoint(self._site.settings.status, self.status):
                return await self._work()

    async def _work(self) -> FederationResults:
        try:
            await self._listen()
            self.board.tell_everyone()
            return await self._train(await self._join())
        finally:
            await self.board.close()
            await self.transport.close()

    async def _listen(self) -> None:
        """Start the ways to the peers; a port that a process before has hardly left is tried again."""
        until_s = time.monotonic() + PORT_FREE_S
        while True:
            try:
                await self.transport.start()
            except ConnectionError as error:
                if time.monotonic() > until_s:
                    raise ListenError(
                        f"wanted to listen on {self._site.settings.listen}; found that it cannot be had; is the site "
                        "running already, or is that not an address of this machine? correct 'listen' in site.toml"
                    ) from error
                await asyncio.sleep(0.5)
            else:
                return

    def status(self) -> SiteStatus:
        """How this site gets on."""
        progress = self.service.progress if self.service else Progress()
        return SiteStatus(
            site=self.me,
            site_id=self._site.identity.site_id,
            federation=self._federation.sha256,
            title=self._federation.settings.title,
            release=__version__,
            at=at_time(time.time()),
            stage=self._stage or progress.phase,
            round_index=progress.round_index,
            rounds=self._federation.settings.rounds,
            phase_s=progress.phase_s,
            loss=progress.loss,
            waits_for=self._waited_for(progress),
            refusals=dict(progress.refusals),
            certificate_ends=self._site.tls.ends,
            peers=tuple(self._peer_status(peer, progress) for peer in self.peers),
        )

    def _waited_for(self, progress: Progress) -> tuple[SiteId, ...]:
        if self._stage == "joining":
            return self.board.missing(JOIN) or self.board.missing(PLAN)
        topic = {"waiting for results": RESULT, "done": END}.get(self._stage or "")
        return self.board.missing(topic) if topic else progress.waits_for

    def _peer_status(self, peer: SiteId, progress: Progress) -> PeerStatus:
        way = self.transport.states[peer]
        heard = progress.heard.get(peer)
        round_index = heard.round_index if heard else None
        return PeerStatus(
            site=peer,
            reachable=way.is_up,
            since=at_time(way.since_s),
            refusal=None if way.refusal is None else str(way.refusal),
            refusal_code=None if way.refusal is None else way.refusal.code,
            joined=peer not in self.board.missing(JOIN),
            agreed=peer not in self.board.missing(PLAN),
            heard=at_time(heard.at_s) if heard else None,
            round_index=round_index,
            behind=None if round_index is None else progress.round_index - round_index,
            shares=self.service.absorbed.get(peer, 0) if self.service else 0,
            finished=peer not in self.board.missing(RESULT),
            bytes_sent=way.bytes_sent,
            bytes_received=way.bytes_received,
        )

    async def _join(self) -> Joined:
        receiving = asyncio.create_task(self._early.listen())
        try:
            return await _beside(receiving, self._agree())
        finally:
            receiving.cancel()
            await asyncio.gather(receiving, return_exceptions=True)

    async def _agree(self) -> Joined:
        if self.me in self.board.missing(JOIN):
            await self.board.post(JOIN, join_notice(await asyncio.to_thread(self._patients.fingerprint)))
        founders = self._federation.settings.founders
        self._say_who_is_missing(JOIN, founders)
        told = fingerprints_of(await self.board.everyone(JOIN, founders))
        plan = agreed_plan(self._federation, {site: told[site] for site in founders})
        await self.board.post(PLAN, plan_notice(plan))
        self.transport.expect(_limits_of(plan))
        require_same_plan(plan, await self.board.everyone(PLAN, founders))
        return Joined(plan, told)

    async def _train(self, joined: Joined) -> FederationResults:
        settings = self._federation.settings
        recipe = self._recipe()
        self._stage = "preparing"
        prepared = await asyncio.to_thread(self._patients.prepare, joined.plan)
        network = build_network(joined.plan, settings.seed)
        cases = prepared.split("train")
        self._mass_told = partial(mass_told, structures=joined.plan.structures, output_rows=output_rows(network))
        told = fingerprints_of(self.board.said(JOIN))  # also of those that joined while this site was down
        masses = {site: self._mass_told(each) for site, each in told.items()}
        agreement = node_agreement(settings, agreement_hash(self._federation, joined.plan), masses)
        node = make_node(self.me, agreement, masses[self.me], parameters_of(network))
        steps = settings.rounds * settings.local_steps
        trainer = SegmentationTrainer(cases, joined.plan, recipe, seed=settings.seed, site=self.me, total_steps=steps)
        self._floor = floor_under(trainer, prepared.split("val"), joined.plan, recipe, seed=settings.seed, site=self.me)
        try:
            self.service = SiteService(
                node,
                self._floor or trainer,
                self.transport,
                Journal(self.folder),
                local_steps=settings.local_steps,
                on_notice=self.board.take,
                early=self._early.frames,
                audit=self._audit,
                tell=self._watch.say,
            )
            return await self._gossip(joined, prepared, recipe)
        finally:
            trainer.close()

    async def _gossip(self, joined: Joined, prepared: PreparedDataset, recipe: Recipe) -> FederationResults:
        """Let the node work; when it has the model, score it and hear how the others' patients fared."""
        assert self.service is not None
        model: asyncio.Future[Params] = asyncio.get_running_loop().create_future()

        def finish(params: Params) -> None:
            if not model.done():
                model.set_result(params)

        working = asyncio.create_task(self.service.run(finish))
        self._stage = None  # the node's own phases
        try:
            params = await _beside(working, model)
            model_sha256 = self._models.write(params, joined.plan)
            if self._floor is not None:
                await asyncio.to_thread(self._models.keep_own, self._floor, params, joined.plan)
            if self.me in self.board.missing(RESULT):
                self._stage = "scoring"
                organs = await _beside(working, asyncio.to_thread(self._patients.score, self.model, prepared, recipe))
                await self.board.post(RESULT, self._result(model_sha256, joined, organs))
            self._stage = "waiting for results"
            await _beside(working, self._hear_results())
            self._write_results(joined.plan, model_sha256)
            self._stage = "done"
            self._audit.sign()
            await _beside(working, self._linger())
            return self._write_results(joined.plan, model_sha256)  # more may have come meanwhile
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)

    async def _hear_results(self) -> None:
        """Wait for the results of all that take part: for ever in lockstep, which ends with all or not at all."""
        assert self.service is not None
        here = (self.me, *self.service.peers_here())
        self._say_who_is_missing(RESULT, here)
        is_lockstep = self._federation.settings.pace == "lockstep"
        with suppress(TimeoutError):
            async with asyncio.timeout(None if is_lockstep else LINGER_S):
                await self.board.everyone(RESULT, here)

    async def _linger(self) -> None:
        """Stay until every peer has everything: who leaves before may leave another waiting for ever.

        The last word between two cannot be known to have come; so it is waited for a little, and no longer.
        """
        await self.board.post(END, b"{}")
        try:
            async with asyncio.timeout(LINGER_S):
                await self.board.everyone(END, self.board.said(JOIN))
        except TimeoutError:
            others = ", ".join(site for site in self.board.missing(END) if site in self.board.said(JOIN))
            self._watch.say(f"It is not known whether site {others} has all results. The same command again asks.")
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORD_S):
                await self.board.told()

    def _recipe(self) -> Recipe:
        recipe, threads = self._federation.settings.recipe, self._site.settings.threads
        return replace(recipe, threads=threads) if threads else recipe

    def _result(self, model_sha256: str, joined: Joined, organs: tuple[OrganResult, ...]) -> bytes:
        assert self.service is not None
        return result_notice(
            model_sha256=model_sha256,
            cases=joined.fingerprints[self.me].cases,
            rounds=self.service.local_phases,
            shares=self.service.absorbed,
            away=self.service.rounds_away(),
            organs=organs,
            refused=not self._site.settings.share_scores,
        )

    def _write_results(self, plan: Plan, model_sha256: str) -> FederationResults:
        results = federation_results(
            federation=self._federation.sha256,
            plan=plan.hash,
            model_sha256=model_sha256,
            sites=(self.me, *self.peers),
            told=self.board.notices(RESULT),
        )
        write_atomically(self.folder / "results.json", results.model_dump_json(indent=1) + "\n")
        return results

    def _note_notice(self, author: SiteId, topic: str) -> None:
        if topic in TOLD:
            self._watch.say(f"site {author}: {TOLD[topic]}")
        if topic == JOIN and author != self.me:
            self._audit.note(PeerJoined(peer=author, federation=self._federation.sha256))
            self._learn_mass(author)

    def _learn_mass(self, author: SiteId) -> None:
        """Of a site that joins a run that goes on."""
        if self.service is None:
            return
        try:
            told = fingerprints_of({author: self.board.said(JOIN)[author]})
        except NoticeError as refusal:
            self._note_refusal(author, refusal)
        else:
            self.service.peer_joined(author, self._mass_told(told[author]))

    def _note_refusal(self, who: str, error: GossamerError) -> None:
        if isinstance(error, UNREACHED):
            self._watch.say(f"no line to {who} ({error.code}): {error}")
            return
        self._watch.say(f"refused {who} ({error.code}): {error}")
        self._audit.refuse(who, error.code, str(error))

    def note_failed_handshake(self, reason: str) -> None:
        """Of a caller, or at a peer's address; each reason is counted apart, for nobody says who it was."""
        self._note_refusal(f"TLS, {reason}", refusal_for(reason))

    def _peer_started(self, peer: SiteId) -> None:
        self.board.tell(peer)
        if self.service is not None:
            self.service.peer_started(peer)

    def _say_who_is_missing(self, topic: str, among: Collection[SiteId]) -> None:
        if missing := [site for site in self.board.missing(topic) if site in among]:
            self._watch.say(f"waiting for site {', '.join(missing)}")


TOLD = {JOIN: "has joined", RESULT: "has the model, and told how it did"}


async def _beside(work: asyncio.Task[object], wanted: Awaitable[Value]) -> Value:
    """Wait for something; what ends the work beside it, ends this too."""
    waiting = asyncio.ensure_future(wanted)
    try:
        await asyncio.wait({work, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            await work
            raise AssertionError("work that goes on until it is cancelled has ended")
        return waiting.result()
    finally:
        waiting.cancel()


def _limits_of(plan: Plan) -> Limits:
    network = build_network(plan)
    nothing = Mass(0.0, dict.fromkeys(output_rows(network), (0.0,) * len(plan.structures)))
    return Limits.of(parameters_of(network), nothing)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise storage_error(error, "wanted a folder for this federation") from error
