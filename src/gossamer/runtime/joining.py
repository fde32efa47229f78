"""How sites begin together: each tells of its data, all find the same plan alone, and compare it.

What a site tells is its fingerprint: whole counts, no image and no patient (``gossamer.data.fingerprint``). The plan is
a pure function of their sum and of the federation file. Training begins when all sites have said that they found the
same one; so a site that is not up yet is waited for, and named.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from gossamer import __version__
from gossamer.data.fingerprint import Fingerprint, merged
from gossamer.data.plan import Plan
from gossamer.data.planning import plan_from_fingerprint
from gossamer.documents import parse_json
from gossamer.errors import NoticeError, PlanError
from gossamer.gossip.algorithm import Mass
from gossamer.gossip.choices import Pace
from gossamer.gossip.registry import GUARDS, build_gossip
from gossamer.gossip.topology import SiteId
from gossamer.node.agreement import Agreement
from gossamer.runtime.federation_file import Federation, FederationSettings

JOIN = "join"
PLAN = "plan"

MOST_IN_MESH = 8
"""Sites in lockstep that exchange all with all, unless told otherwise: who hears all can end with the same model as all
others even where one of them lies. More sites would send too much."""

DEFAULT_ALGORITHMS: dict[Pace, str] = {"asynchronous": "pushsum", "lockstep": "sweep"}

Release = Annotated[str, Field(max_length=40, pattern="^[!-~]*$")]
"""Of Gossamer at another site; it is shown to people."""

Said = TypeVar("Said", bound=BaseModel)


class JoinNotice(BaseModel):
    """What a site tells of itself.

    Attributes:
        release: of Gossamer there.
        fingerprint: of its training cases.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)  # a newer site may say more

    release: Release
    fingerprint: dict[str, Any]


class PlanNotice(BaseModel):
    """Which plan a site found."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    release: Release
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


def join_notice(fingerprint: Fingerprint) -> bytes:
    """What this site tells."""
    notice = JoinNotice(release=__version__, fingerprint=json.loads(fingerprint.to_json()))
    return notice.model_dump_json().encode()


def plan_notice(plan: Plan) -> bytes:
    """Which plan this site found."""
    return PlanNotice(release=__version__, sha256=plan.hash).model_dump_json().encode()


def plan_told(site: SiteId, content: bytes) -> PlanNotice:
    """Which plan another site found.

    Raises:
        NoticeError: it tells something else.
    """
    return _read(PlanNotice, site, content)


def fingerprints_of(joined: Mapping[SiteId, bytes]) -> dict[SiteId, Fingerprint]:
    """What the sites told of their data.

    Args:
        joined: the notices on ``JOIN``, by author.

    Raises:
        NoticeError: a site tells something else.
    """
    return {site: _fingerprint(site, content) for site, content in joined.items()}


def agreed_plan(federation: Federation, fingerprints: Mapping[SiteId, Fingerprint]) -> Plan:
    """The plan that follows from the federation file and all sites' fingerprints.

    Raises:
        PlanError: none follows; the message says why.
    """
    settings = federation.settings
    return plan_from_fingerprint(merged(fingerprints.values()), settings.structures, settings.plan)


def require_same_plan(plan: Plan, found: Mapping[SiteId, bytes]) -> None:
    """Refuse to begin where a site found another plan.

    Args:
        plan: this site's.
        found: the notices on ``PLAN``, by author.

    Raises:
        PlanError: a site's differs.
        NoticeError: a site tells something else.
    """
    for site, content in found.items():
        other = plan_told(site, content)
        if other.sha256 != plan.hash:
            raise PlanError(
                f"wanted the same plan at all sites; found {plan.hash[:12]} here (release {__version__}) and "
                f"{other.sha256[:12]} at site {site} (release {other.release}); bring both to the same release"
            )


def agreement_hash(federation: Federation, plan: Plan) -> str:
    """What makes messages and snapshots those of this federation with this plan."""
    return hashlib.sha256(f"{federation.sha256} {plan.hash}".encode()).hexdigest()


def node_agreement(settings: FederationSettings, sha256: str, masses: Mapping[SiteId, Mass]) -> Agreement:
    """What the sites' nodes agree on.

    Args:
        settings: of the federation file.
        sha256: what makes their messages this federation's.
        masses: how many training cases each site told of; all founders' are needed.

    Raises:
        ScheduleError: algorithm, topology and pace do not go together, or are unknown.
    """
    algorithm = settings.algorithm or DEFAULT_ALGORITHMS[settings.pace]
    sites = tuple(SiteId(member.name) for member in settings.sites)
    is_small = settings.pace == "lockstep" and algorithm == "sweep" and len(sites) <= MOST_IN_MESH
    chosen, schedule = build_gossip(
        algorithm,
        sites,
        settings.seed,
        topology=settings.topology or ("mesh" if is_small else None),
        asynchronous=settings.pace == "asynchronous",
    )
    return Agreement(
        sha256,
        chosen,
        schedule,
        settings.rounds,
        pace=settings.pace,
        joins_later=frozenset(SiteId(member.name) for member in settings.sites if member.joins_later),
        guard=GUARDS[settings.guard](),
        masses=masses,
    )


def _fingerprint(site: SiteId, content: bytes) -> Fingerprint:
    try:
        return Fingerprint.from_json(json.dumps(_read(JoinNotice, site, content).fingerprint))
    except PlanError as error:
        raise NoticeError(f"site {site}: {error}") from error


def _read(kind: type[Said], site: SiteId, content: bytes) -> Said:
    return parse_json(content.decode(errors="replace"), kind, f"notice of site {site}", NoticeError)
