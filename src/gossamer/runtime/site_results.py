"""The end of a run: the same table at every site, of how the model did on every site's patients.

Each site scores the model on its own validation patients and tells the others the means, with counts; what its policy
keeps back stands in the table as refused, and a site that said nothing as absent. What a site gave to the run (training
cases, local phases, and whose shares it took in) stands beside it, signed with the rest of its notice.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from gossamer import __version__
from gossamer.documents import parse_json
from gossamer.errors import NoticeError
from gossamer.evaluate.score import Score, mean_of
from gossamer.gossip.topology import SiteId
from gossamer.runtime.card import SiteName
from gossamer.runtime.joining import Release
from gossamer.wire.messages import Notice

RESULT = "result"

Count = Annotated[int, Field(ge=0, lt=10**9)]
Part = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Distance = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class OrganResult(BaseModel):
    """How the model did on one organ of one site.

    Attributes:
        organ: TG-263 name.
        patients: in whom it is complete; None where the site keeps it back, as all that follows.
        dsc: mean Dice similarity coefficient; None where there is no patient.
        surface_dsc: mean, at the organ's tolerance.
        hd95_mm: mean over patients in whom it was found.
        missed: patients in whom nothing was found.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    organ: str = Field(max_length=80, pattern="^[!-~]+$")
    patients: Count | None
    dsc: Part | None = None
    surface_dsc: Part | None = None
    hd95_mm: Distance | None = None
    missed: Count | None = None


class ResultNotice(BaseModel):
    """What a site tells at the end.

    Attributes:
        release: of Gossamer there.
        model_sha256: of its model file.
        cases: training cases, as told at the beginning.
        rounds: local phases it did.
        shares: by peer, how many of its shares it took in.
        away: peers it heard nothing of for longer than news take, with the longest such time in rounds.
        organs: the scores; empty where the site refuses to share them.
        refused: whether it does.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    release: Release
    model_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    cases: Count
    rounds: Count
    shares: dict[SiteName, Count]
    away: dict[SiteName, Count] = {}
    organs: tuple[OrganResult, ...] = ()
    refused: bool = False


class SiteResult(BaseModel):
    """A site's row of the table, with the proof that it is its own.

    Attributes:
        site: its name.
        result: what it told; None where it is absent.
        notice: the signed bytes (base64), as they were told.
        signature: of the site's identity (base64).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    site: str
    result: ResultNotice | None
    notice: str | None = None
    signature: str | None = None


class FederationResults(BaseModel):
    """``results.json`` of a site.

    Attributes:
        federation: SHA-256 of the federation file.
        plan: SHA-256 of the plan.
        model_sha256: of this site's model file.
        rounds: that were agreed on.
        sites: all sites of the roster.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    federation: str
    plan: str
    model_sha256: str
    rounds: int
    sites: tuple[SiteResult, ...]

    @property
    def absent(self) -> tuple[str, ...]:
        """Sites that said nothing."""
        return tuple(site.site for site in self.sites if site.result is None)

    @property
    def away(self) -> dict[str, int]:
        """Sites that another one missed for longer than news take, with the longest such time in rounds."""
        told = [item for site in self.sites if site.result for item in site.result.away.items()]
        return {name: max(rounds for other, rounds in told if other == name) for name, _ in sorted(told)}

    @property
    def phases_missing(self) -> int:
        """Local phases that were agreed on, and that by the sites' own counts nobody did; 0 where a site is absent.

        A run ends when its sites have heard of enough (``node.census``), so some were told that were not done.
        """
        done = sum(site.result.rounds for site in self.sites if site.result)
        return 0 if self.absent else max(0, self.rounds * len(self.sites) - done)


def organ_results(
    scores: Sequence[Mapping[str, Score]], structures: Iterable[str], smallest_count: int
) -> tuple[OrganResult, ...]:
    """Means over a site's patients.

    Args:
        scores: of each patient, by organ that is complete in it.
        structures: the organs, in this order.
        smallest_count: means over fewer patients are kept back.
    """
    return tuple(
        _organ_result(organ, [patient[organ] for patient in scores if organ in patient], smallest_count)
        for organ in structures
    )


def result_notice(
    *,
    model_sha256: str,
    cases: int,
    rounds: int,
    shares: Mapping[SiteId, int],
    away: Mapping[SiteId, int],
    organs: tuple[OrganResult, ...],
    refused: bool,
) -> bytes:
    """What this site tells; see ``ResultNotice``."""
    notice = ResultNotice(
        release=__version__,
        model_sha256=model_sha256,
        cases=cases,
        rounds=rounds,
        shares={str(site): count for site, count in shares.items()},
        away={str(site): count for site, count in away.items()},
        organs=() if refused else organs,
        refused=refused,
    )
    return notice.model_dump_json().encode()


def result_told(site: SiteId, content: bytes) -> ResultNotice:
    """What another site tells.

    Raises:
        NoticeError: it is something else.
    """
    return parse_json(content.decode(errors="replace"), ResultNotice, f"notice of site {site}", NoticeError)


def federation_results(
    *,
    federation: str,
    plan: str,
    model_sha256: str,
    rounds: int,
    sites: Iterable[SiteId],
    told: Mapping[SiteId, Notice],
) -> FederationResults:
    """The table of all sites, from the notices on ``RESULT``.

    Raises:
        NoticeError: a site tells something else.
    """
    return FederationResults(
        federation=federation,
        plan=plan,
        model_sha256=model_sha256,
        rounds=rounds,
        sites=tuple(_site_result(site, told.get(site)) for site in sorted(sites)),
    )


def _organ_result(organ: str, scores: Sequence[Score], smallest_count: int) -> OrganResult:
    drawn = [score for score in scores if score.reference_voxels > 0]
    if 0 < len(drawn) < smallest_count:
        return OrganResult(organ=organ, patients=None)
    return OrganResult(
        organ=organ,
        patients=len(drawn),
        dsc=mean_of(score.values["dsc"] for score in drawn),
        surface_dsc=mean_of(score.values["surface_dsc"] for score in drawn),
        hd95_mm=mean_of(score.values["hd95_mm"] for score in drawn),
        missed=sum(score.predicted_voxels == 0 for score in drawn),
    )


def _site_result(site: SiteId, notice: Notice | None) -> SiteResult:
    if notice is None:
        return SiteResult(site=site, result=None)
    return SiteResult(
        site=site,
        result=result_told(site, notice.content),
        notice=base64.b64encode(notice.content).decode(),
        signature=base64.b64encode(notice.signature).decode(),
    )
