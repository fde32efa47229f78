"""One hospital's part in a federation, from joining to the table of all sites' results.

::

    <site>/runs/<federation>/board/                what sites told each other once
                            /data.sha256           the data this site joined with
                            /state-*.safetensors   node and trainer (``journal``); their tensors in tensors-*
                            /incoming/             frames that have half come; mailbox/ likewise
                            /model.safetensors     the model, when it is there; own-model.safetensors beside it where
                                                   this site's own did much better on its patients
                            /results.json          the table, when all have told

Law: one process at a time does a site's part. What lies in the folder is read when it is held alone, never before: so a
run that was stopped goes on where it stopped, and one that has ended says so (``site_work``).
"""

from __future__ import annotations

from pathlib import Path

from gossamer import __version__
from gossamer.atomic import make_folder
from gossamer.errors import GossamerError
from gossamer.gossip.topology import SiteId
from gossamer.only_writer import only_writer
from gossamer.runtime.audit import AuditLog
from gossamer.runtime.audit_entries import Started
from gossamer.runtime.federation_file import Federation
from gossamer.runtime.handshakes import refusal_for
from gossamer.runtime.own_patients import OwnPatients
from gossamer.runtime.preflight.peers import UNREACHED
from gossamer.runtime.run_status import status_of
from gossamer.runtime.service import SiteService
from gossamer.runtime.site_folder import SiteFolder
from gossamer.runtime.site_models import MODEL
from gossamer.runtime.site_results import FederationResults
from gossamer.runtime.site_work import SiteWork
from gossamer.runtime.status import SiteStatus
from gossamer.runtime.status_endpoint import status_endpoint
from gossamer.watch import Watch


class SiteRun:
    """A site in one federation."""

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
        make_folder(self.folder, "wanted a folder for this federation", mode=0o700)
        self._patients = OwnPatients(site, self.folder, watch)
        self._audit = AuditLog(site.path, site.identity)
        self._work: SiteWork | None = None

    @property
    def model(self) -> Path:
        """The model's file, when it is there."""
        return self.folder / MODEL

    @property
    def service(self) -> SiteService | None:
        """Of the node, once there is one."""
        return self._work.service if self._work else None

    async def run(self) -> FederationResults:
        """Do what is left to do, to the end of the run.

        Raises:
            FolderBusyError: another process is at it.
            ConfigurationError: there is no way to a peer.
            PlanError: the sites do not find the same plan.
            StorageError: the disk does not keep what must be kept.
            ScheduleError: training fails.
            ListenError: an address to listen on is taken or not this machine's.
        """
        with only_writer(self.folder):
            self._audit.note(Started(federation=self._federation.sha256, release=__version__))
            self._patients.join()
            self._work = SiteWork(
                self._site,
                self._federation,
                self.folder,
                patients=self._patients,
                audit=self._audit,
                note_refusal=self._note_refusal,
                watch=self._watch,
            )
            with status_endpoint(self._site.settings.status, self.status):
                return await self._work.run()

    def status(self) -> SiteStatus:
        """How this site gets on."""
        work = self._work
        if work is None:
            return status_of(self._site, self._federation, "joining", None, None)
        return status_of(self._site, self._federation, work.stage, work.contact, work.service)

    def note_failed_handshake(self, reason: str) -> None:
        """Of a caller, or at a peer's address; each reason is counted apart, for nobody says who it was."""
        self._note_refusal(f"TLS, {reason}", refusal_for(reason))

    def _note_refusal(self, who: str, error: GossamerError) -> None:
        if isinstance(error, UNREACHED):
            self._watch.say(f"no line to {who} ({error.code}): {error}")
            return
        self._watch.say(f"refused {who} ({error.code}): {error}")
        self._audit.refuse(who, error.code, str(error))
