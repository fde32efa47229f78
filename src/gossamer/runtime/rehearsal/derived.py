"""The federation that is rehearsed: the real one's roster and lines, with a hash, a plan and rounds of its own.

Law
    1. Its hash follows from the real file's, so sites with different files refuse each other here as they would there;
       and it is another one, so nothing said in a rehearsal can be taken for a word of the real run.
    2. Its plan follows from the federation file alone: no site tells anything of its data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection

from gossamer.data.fingerprint import SPACING_BINS_PER_MM, Fingerprint
from gossamer.data.plan import Plan
from gossamer.data.planning import plan_from_fingerprint
from gossamer.gossip.algorithm import Mass
from gossamer.gossip.topology import SiteId
from gossamer.node.agreement import Agreement
from gossamer.runtime.federation_file import Federation, FederationSettings
from gossamer.runtime.joining import agreement_hash, node_agreement

ROUNDS = 3
"""The first swaps begin while others are still busy, the last ones are last words; one round lies between."""

PURPOSE = b"gossamer rehearsal, 1: "

USUAL_SPACING_MM = (2.5, 1.25, 1.25)
USUAL_EXTENT_MM = (300, 500, 500)
"""A planning CT along z, y, x, where the rules of the plan leave it to the data."""

USUAL_HU = {-150: 1, 250: 1}
"""The ends of a window for soft tissue; nothing that takes time depends on them."""


def rehearsed(federation: Federation) -> Federation:
    """What takes the real federation's place: no site waits for another, so one that is away keeps nobody."""
    settings = federation.settings.model_copy(
        update={"rounds": ROUNDS, "pace": "asynchronous", "algorithm": None, "topology": None}
    )
    return Federation(settings, hashlib.sha256(PURPOSE + federation.sha256.encode()).hexdigest())


def usual_plan(settings: FederationSettings) -> Plan:
    """The plan that would follow from planning CTs as hospitals usually take them.

    The network has the real one's layers and maps, which the rules fix; strides and patch may differ where the real
    cases have other voxels.

    Raises:
        PlanError: the rules contradict each other, or no network can be built after them.
    """
    spacing = tuple({round(mm * SPACING_BINS_PER_MM): 1} for mm in USUAL_SPACING_MM)
    extent = tuple({mm: 1} for mm in USUAL_EXTENT_MM)
    usual = Fingerprint(
        cases=1,
        annotated=dict.fromkeys(settings.structures, 1),
        hu=USUAL_HU,
        spacing=(spacing[0], spacing[1], spacing[2]),
        extent=(extent[0], extent[1], extent[2]),
    )
    return plan_from_fingerprint(usual, settings.structures, settings.plan)


def agreement_of(federation: Federation, plan: Plan, own: Mass, absent: Collection[SiteId]) -> Agreement:
    """What the nodes of a rehearsal agree on.

    Args:
        federation: the rehearsed one.
        plan: of the rehearsal.
        own: what each site contributes; all have as many synthetic patients.
        absent: sites that have not turned up; whoever hears of one later takes it in.
    """
    settings = federation.settings
    sites = tuple(site.model_copy(update={"joins_later": site.name in absent}) for site in settings.sites)
    with_absent = settings.model_copy(update={"sites": sites})
    return node_agreement(with_absent, agreement_hash(federation, plan), masses_of(settings, own))


def masses_of(settings: FederationSettings, own: Mass) -> dict[SiteId, Mass]:
    """What all sites contribute, if each contributes the same."""
    return {SiteId(site.name): own for site in settings.sites}
