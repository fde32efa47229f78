"""A site comes to one plan with the others, before anything is trained.

Law: what a site says is on its disk before it is on a line, and is said once (``board``). So a restart finds the plan
that it told, or says that it cannot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gossamer.data.fingerprint import Fingerprint
from gossamer.data.plan import Plan
from gossamer.gossip.algorithm import Mass
from gossamer.gossip.topology import SiteId
from gossamer.nets import build_network, output_rows, parameters_of
from gossamer.runtime.beside import beside, during
from gossamer.runtime.contact import Contact
from gossamer.runtime.federation_file import Federation
from gossamer.runtime.joining import (
    JOIN,
    PLAN,
    agreed_plan,
    fingerprints_of,
    join_notice,
    plan_notice,
    require_same_plan,
)
from gossamer.wire.limits import Limits


@dataclass(frozen=True)
class Agreed:
    """What all sites have agreed on.

    Attributes:
        plan: the same at all sites.
        fingerprints: by site, as told so far.
    """

    plan: Plan
    fingerprints: Mapping[SiteId, Fingerprint]


async def agree(
    contact: Contact,
    federation: Federation,
    me: SiteId,
    *,
    own_fingerprint: Callable[[], Fingerprint],
    tell: Callable[[str], None],
) -> Agreed:
    """Tell of this site's data, hear of the founders', and find the same plan as they.

    Args:
        contact: with the other sites, open.
        federation: the file that all approved.
        me: this site.
        own_fingerprint: of its data; asked in a thread, unless that was told before.
        tell: told who is waited for.

    Raises:
        PlanError: no plan follows from what the sites told, or they do not find the same.
        StorageError: the disk does not keep what is said.
    """
    async with beside(contact.early.listen()) as listening:
        return await during(listening, _agree(contact, federation, me, own_fingerprint, tell))


async def _agree(
    contact: Contact,
    federation: Federation,
    me: SiteId,
    own_fingerprint: Callable[[], Fingerprint],
    tell: Callable[[str], None],
) -> Agreed:
    board, founders = contact.board, federation.settings.founders
    if me in board.missing(JOIN):
        await board.post(JOIN, join_notice(await asyncio.to_thread(own_fingerprint)))
    if missing := contact.missing(JOIN, founders):
        tell(f"waiting for site {', '.join(missing)}")
    told = fingerprints_of(await board.everyone(JOIN, founders))
    plan = agreed_plan(federation, {site: told[site] for site in founders})
    await board.post(PLAN, plan_notice(plan))
    contact.transport.expect(_limits_of(plan))
    require_same_plan(plan, await board.everyone(PLAN, founders))
    return Agreed(plan, told)


def _limits_of(plan: Plan) -> Limits:
    network = build_network(plan)
    nothing = Mass(0.0, dict.fromkeys(output_rows(network), (0.0,) * len(plan.structures)))
    return Limits.of(parameters_of(network), nothing)
