"""What sites tell each other in a rehearsal: that they are there, that it begins, what they measured, that they end.

These are notices (``gossamer.runtime.board``), so they also reach a site whose own line to their author is blocked.
Nothing is told but times, sizes and codes: no address, no name from a stranger's certificate.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from gossamer.documents import parse_json
from gossamer.errors import NoticeError
from gossamer.gossip.topology import SiteId
from gossamer.runtime.board import readable_by
from gossamer.runtime.joining import Release

READY = "ready"
"""A site has turned up and knows how fast its machine is."""

BEGUN = "begun"
"""A site has begun, whoever was there; the others begin with it."""

MEASURED = "measured"

OVER = "over"
"""A site has all that it waits for."""

NOTHING = b"{}"
"""The content of a notice that only its topic matters of; the same when a site is started again."""

LineState = Literal["up", "blocked", "absent"]

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class LineTold(BaseModel):
    """What a site says of its line to one peer.

    Attributes:
        state: ``blocked`` where the peer has turned up, and the line has not come up; ``absent`` where it has not.
        code: of the error that says why.
        round_trip_s: there and back.
        share_s: that one share took to the peer.
        is_whole: whether a share got through whole; else ``share_s`` is told from a part.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)  # a newer site may say more

    state: LineState
    code: str = Field(default="", pattern="^(GOS-[0-9]{3})?$")
    round_trip_s: Seconds | None = None
    share_s: Seconds | None = None
    is_whole: bool = True


class MeasuredTold(BaseModel):
    """What a site says at the end.

    Attributes:
        release: of Gossamer there.
        step_s: an optimiser step.
        between_s: what lies between two local phases, as a rule.
        lines: to its peers, by name.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    release: Release
    step_s: Seconds
    between_s: Seconds
    lines: dict[str, LineTold]


def measured_by(site: SiteId, content: bytes) -> MeasuredTold:
    """Read what a site told.

    Raises:
        NoticeError: it is something else.
    """
    return parse_json(content.decode(errors="replace"), MeasuredTold, f"notice of site {site}", NoticeError)


require_readable = readable_by(
    {
        READY: lambda site, content: None,
        BEGUN: lambda site, content: None,
        MEASURED: measured_by,
        OVER: lambda site, content: None,
    }
)
"""Refuses a notice that no site of this release could read, as in a run (``site_notices``)."""
