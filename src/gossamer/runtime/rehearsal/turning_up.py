"""How sites come together to rehearse: each says that it is here, and they begin with whoever is.

Law: a site waits no longer than it was told to, and whoever begins takes the others along: so all begin together, with
or without those that are missing, and with or without a line between any two.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gossamer.gossip.topology import SiteId
from gossamer.runtime.beside import Work, during_at_most
from gossamer.runtime.contact import Contact
from gossamer.runtime.rehearsal.lines import is_up
from gossamer.runtime.rehearsal.told import BEGUN, NOTHING, READY

LOOK_S = 0.1
"""How often it is looked whether all are there."""


def ready(contact: Contact) -> set[SiteId]:
    """Sites that have turned up."""
    return set(contact.board.said(READY))


def down(contact: Contact) -> set[SiteId]:
    """Peers to whom there is no line."""
    return {peer for peer, state in contact.transport.states.items() if not is_up(state)}


async def turn_up(
    contact: Contact, hearing: Work, *, wait_s: float, lines_s: float, tell: Callable[[str], None]
) -> None:
    """Say that this site is here; then wait for the others, for the lines, and for the others' lines.

    Args:
        contact: with the others, open.
        hearing: what takes in what they say.
        wait_s: how long the others are waited for.
        lines_s: how long lines are, once all are there; and the others' lines, once more.
        tell: told who is waited for.
    """
    await contact.board.post(READY, NOTHING)
    if missing := contact.board.missing(READY):
        tell(f"waiting for site {', '.join(missing)}, {wait_s / 60:.3g} min at most")
    await during_at_most(wait_s, hearing, _all_turned_up(contact))
    if lacking := down(contact) & ready(contact):
        tell(f"waiting for the line to site {', '.join(sorted(lacking))}")
    await during_at_most(lines_s, hearing, _lines_up(contact))
    await contact.board.post(BEGUN, NOTHING)
    await during_at_most(lines_s, hearing, contact.board.everyone(BEGUN, ready(contact)))


async def _all_turned_up(contact: Contact) -> None:
    """Until all have, or one says that it waits no longer."""
    while contact.board.missing(READY) and not contact.board.said(BEGUN):
        await asyncio.sleep(LOOK_S)


async def _lines_up(contact: Contact) -> None:
    while down(contact) & ready(contact):
        await asyncio.sleep(LOOK_S)
