"""The end of a run at one site: the others' results, the table of all, and when it may leave.

Law
    1. A site leaves when every other has all that it waits for: who leaves before may leave another waiting for ever.
    2. It leaves anyway after ``LINGER_S``, and says whose end it does not know. In lockstep it waits for all results
       for ever, for there all end or none.
    3. The last word between two cannot be known to have come; so it is waited for a little, and no longer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

from gossamer.atomic import write_atomically
from gossamer.gossip.topology import SiteId
from gossamer.runtime.contact import Contact
from gossamer.runtime.federation_file import Federation
from gossamer.runtime.joining import JOIN
from gossamer.runtime.site_notices import END
from gossamer.runtime.site_results import RESULT, FederationResults, federation_results

LINGER_S = 3600.0
"""How long a site that has everything stays for those that have not said so: an hour covers a reboot."""

LAST_WORD_S = 5.0
"""By then all have everything; only who hears that this site has it too may leave at once."""

RESULTS = "results.json"


class Ending:
    """Of a run at a site that has told its own result."""

    def __init__(self, contact: Contact, federation: Federation, folder: Path, tell: Callable[[str], None]) -> None:
        """Not begun.

        Args:
            contact: with the other sites.
            federation: of the run.
            folder: of the run, for the table.
            tell: told whom this site waits for, and whom it did not hear of.
        """
        self._contact = contact
        self._federation = federation
        self._folder = folder
        self._tell = tell

    async def hear_results(self, here: Collection[SiteId]) -> None:
        """Wait for the results of the sites that take part."""
        if missing := self._contact.missing(RESULT, here):
            self._tell(f"waiting for site {', '.join(missing)}")
        is_lockstep = self._federation.settings.pace == "lockstep"
        with suppress(TimeoutError):
            async with asyncio.timeout(None if is_lockstep else LINGER_S):
                await self._contact.board.everyone(RESULT, here)

    def write_table(self, plan_hash: str, model_sha256: str) -> FederationResults:
        """The table of all sites, as far as they have told; it is written beside the model.

        Raises:
            StorageError: it cannot be written.
        """
        results = federation_results(
            federation=self._federation.sha256,
            plan=plan_hash,
            model_sha256=model_sha256,
            rounds=self._federation.settings.rounds,
            sites=[SiteId(member.name) for member in self._federation.settings.sites],
            told=self._contact.board.notices(RESULT),
        )
        write_atomically(self._folder / RESULTS, results.model_dump_json(indent=1) + "\n")
        return results

    async def linger(self) -> None:
        """Stay until all that have joined have everything."""
        board = self._contact.board
        await board.post(END, b"{}")
        try:
            async with asyncio.timeout(LINGER_S):
                await board.everyone(END, board.said(JOIN))
        except TimeoutError:
            missing = self._contact.missing(END, board.said(JOIN))
            self._tell(
                f"It is not known whether site {', '.join(missing)} has all results. The same command again asks."
            )
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORD_S):
                await board.told()
