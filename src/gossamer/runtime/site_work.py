"""The steps of a site's run, one after the other: agree on a plan, train and gossip, score, tell, hear, leave.

Law: every step leaves its result on the disk, and begins with looking for it. Who does these steps holds the run's
folder alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from gossamer.data.fingerprint import Fingerprint
from gossamer.data.prepared import PreparedDataset
from gossamer.errors import GossamerError
from gossamer.gossip.algorithm import Params
from gossamer.gossip.topology import SiteId
from gossamer.learn.floor import FlooredTrainer, floor_under
from gossamer.learn.mass import mass_told
from gossamer.learn.recipe import Recipe
from gossamer.learn.trainer import SegmentationTrainer
from gossamer.nets import SegmentationNetwork, build_network, output_rows, parameters_of
from gossamer.node.kinds import make_node
from gossamer.node.node import Node
from gossamer.runtime.agreeing import Agreed, agree
from gossamer.runtime.audit import AuditLog
from gossamer.runtime.audit_entries import Joined
from gossamer.runtime.beside import Work, beside, during
from gossamer.runtime.contact import Contact
from gossamer.runtime.early import UNKNOWN_NETWORK
from gossamer.runtime.ending import Ending
from gossamer.runtime.federation_file import Federation
from gossamer.runtime.joining import JOIN, agreement_hash, fingerprints_of, node_agreement
from gossamer.runtime.journal import Journal
from gossamer.runtime.own_patients import OwnPatients
from gossamer.runtime.service import SiteService
from gossamer.runtime.site_folder import SiteFolder
from gossamer.runtime.site_models import SiteModels
from gossamer.runtime.site_notices import require_readable
from gossamer.runtime.site_results import RESULT, FederationResults, OrganResult, result_notice
from gossamer.runtime.status import Stage
from gossamer.runtime.ways import transport_of
from gossamer.watch import Watch

PORT_FREE_S = 10.0
"""How long a port may stay taken after a stop: the process before is still ending."""

TOLD = {JOIN: "has joined", RESULT: "has the model, and told how it did"}


class SiteWork:
    """A site at work in one federation, from its last step to the end."""

    def __init__(
        self,
        site: SiteFolder,
        federation: Federation,
        folder: Path,
        *,
        patients: OwnPatients,
        audit: AuditLog,
        note_refusal: Callable[[str, GossamerError], None],
        watch: Watch,
    ) -> None:
        """Look for what earlier steps left.

        Args:
            site: this site's folder.
            federation: the file that it approved.
            folder: of the run; held alone.
            patients: of this site.
            audit: the site's log.
            note_refusal: told of what was refused: of whom, and why.
            watch: told how it goes.

        Raises:
            ConfigurationError: there is no way to a peer.
            StorageError: a notice or a letter's number on the disk is damaged, or nothing can be written.
        """
        self._site = site
        self._federation = federation
        self._folder = folder
        self._patients = patients
        self._audit = audit
        self._note_refusal = note_refusal
        self._watch = watch
        self._me = SiteId(federation.member(site.identity.site_id).name)
        transport = transport_of(site, federation, limits=UNKNOWN_NETWORK, folder=folder, on_refusal=note_refusal)
        transport.on_peer_started = self._peer_started
        self.contact = Contact(
            site,
            federation,
            transport,
            folder,
            require_readable=require_readable,
            on_notice=self._note_notice,
            on_refusal=note_refusal,
        )
        self._models = SiteModels(folder, federation, self.contact.board, audit, watch)
        self._ending = Ending(self.contact, federation, folder, watch.say)
        self.service: SiteService | None = None
        self.stage: Stage | None = "joining"
        """None for the node's own phases."""

    async def run(self) -> FederationResults:
        """Do all steps that are left."""
        async with self.contact.opened(PORT_FREE_S):
            agreed = await agree(
                self.contact,
                self._federation,
                self._me,
                own_fingerprint=self._patients.fingerprint,
                tell=self._watch.say,
            )
            return await self._train(agreed)

    async def _train(self, agreed: Agreed) -> FederationResults:
        settings, recipe = self._federation.settings, self._recipe()
        self.stage = "preparing"
        prepared = await asyncio.to_thread(self._patients.prepare, agreed.plan)
        node = self._new_node(agreed, build_network(agreed.plan, settings.seed))
        trainer = SegmentationTrainer(
            prepared.split("train"),
            agreed.plan,
            recipe,
            seed=settings.seed,
            site=self._me,
            total_steps=settings.rounds * settings.local_steps,
        )
        try:
            validation = prepared.split("val")
            floor = floor_under(trainer, validation, agreed.plan, recipe, seed=settings.seed, site=self._me)
            self.service = SiteService(
                node,
                floor or trainer,
                self.contact.transport,
                Journal(self._folder),
                local_steps=settings.local_steps,
                on_notice=self.contact.board.take,
                early=self.contact.early.frames,
                audit=self._audit,
                tell=self._watch.say,
            )
            return await self._gossip(self.service, agreed, prepared, floor)
        finally:
            trainer.close()

    def _recipe(self) -> Recipe:
        recipe, threads = self._federation.settings.recipe, self._site.settings.threads
        return replace(recipe, threads=threads) if threads else recipe

    def _new_node(self, agreed: Agreed, network: SegmentationNetwork) -> Node:
        """At the beginning; it knows the masses of all that have joined, also while this site was down."""
        self._mass_told = partial(mass_told, structures=agreed.plan.structures, output_rows=output_rows(network))
        masses = {site: self._mass_told(told) for site, told in self._fingerprints().items()}
        agreement = node_agreement(self._federation.settings, agreement_hash(self._federation, agreed.plan), masses)
        return make_node(self._me, agreement, masses[self._me], parameters_of(network))

    def _fingerprints(self) -> Mapping[SiteId, Fingerprint]:
        return fingerprints_of(self.contact.board.said(JOIN))

    async def _gossip(
        self, service: SiteService, agreed: Agreed, prepared: PreparedDataset, floor: FlooredTrainer | None
    ) -> FederationResults:
        """Let the node work; when it has the model, score it and hear how the others' patients fared."""
        model: asyncio.Future[Params] = asyncio.get_running_loop().create_future()

        def finish(params: Params) -> None:
            if not model.done():
                model.set_result(params)

        self.stage = None
        async with beside(service.run(finish)) as working:
            params = await during(working, model)
            model_sha256 = self._models.write(params, agreed.plan)
            if floor is not None:
                await asyncio.to_thread(self._models.keep_own, floor, params, agreed.plan)
            await self._tell_result(working, service, agreed, prepared, model_sha256)
            self.stage = "waiting for results"
            await during(working, self._ending.hear_results((self._me, *service.peers_here())))
            self._ending.write_table(agreed.plan.hash, model_sha256)
            self.stage = "done"
            self._audit.sign()
            await during(working, self._ending.linger())
            return self._ending.write_table(agreed.plan.hash, model_sha256)  # more may have come meanwhile

    async def _tell_result(
        self, working: Work, service: SiteService, agreed: Agreed, prepared: PreparedDataset, model_sha256: str
    ) -> None:
        """Score the model on this site's patients and tell the others, unless that is done."""
        if self._me not in self.contact.board.missing(RESULT):
            return
        self.stage = "scoring"
        scoring = asyncio.to_thread(self._patients.score, self._models.path, prepared, self._recipe())
        organs: tuple[OrganResult, ...] = await during(working, scoring)
        notice = result_notice(
            model_sha256=model_sha256,
            cases=agreed.fingerprints[self._me].cases,
            rounds=service.local_phases,
            shares=service.absorbed,
            away=service.rounds_away(),
            organs=organs,
            refused=not self._site.settings.share_scores,
        )
        await self.contact.board.post(RESULT, notice)

    def _note_notice(self, author: SiteId, topic: str) -> None:
        if topic in TOLD:
            self._watch.say(f"site {author}: {TOLD[topic]}")
        if topic == JOIN and author != self._me:
            self._audit.note(Joined(peer=author, federation=self._federation.sha256))
            if self.service is not None:  # of a site that joins a run that goes on
                self.service.peer_joined(author, self._mass_told(self._fingerprints()[author]))

    def _peer_started(self, peer: SiteId) -> None:
        self.contact.board.tell(peer)
        if self.service is not None:
            self.service.peer_started(peer)
