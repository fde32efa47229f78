"""What an audit record can tell: its kinds, each with fields of its own; names of sites, counts and hashes only.

Text from elsewhere is cut short and made printable, so that nobody writes lines or terminal escapes into the log.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

MOST_LETTERS = 200


def printable(text: str) -> str:
    """Text that shows what it is: no line break, terminal escape or change of direction; cut short."""
    shown = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text[: MOST_LETTERS + 1])
    return shown if len(shown) <= MOST_LETTERS else shown[: MOST_LETTERS - 1] + "…"


Text = Annotated[str, AfterValidator(printable)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]
Number = Annotated[float, Field(allow_inf_nan=False)]


class Entry(BaseModel):
    """What a record tells; each kind has fields of its own."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    kind: ClassVar[str]


class Started(Entry):
    """The service began, or went on after a stop."""

    kind = "started"
    federation: Sha256
    release: Text


class Rehearsed(Entry):
    """The site began to rehearse a federation: what it then sent was made of synthetic patients alone."""

    kind = "rehearsed"
    federation: Sha256
    release: Text


class Approved(Entry):
    """People here approved a federation file: these bytes."""

    kind = "approved"
    federation: Sha256
    title: Text


class Renewed(Entry):
    """There is a new certificate for connections."""

    kind = "renewed"
    ends: Text


class Joined(Entry):
    """A peer said that it takes part."""

    kind = "joined"
    peer: Text
    federation: Sha256


class ShareSent(Entry):
    """A share was handed to a peer; ``sha256`` is of the frame's body, so both sites' logs name the same."""

    kind = "share-sent"
    peer: Text
    exchange: Count
    size_bytes: Count
    sha256: Sha256


class ShareReceived(Entry):
    """A peer's share is on this disk; see ``ShareSent``."""

    kind = "share-received"
    peer: Text
    exchange: Count
    size_bytes: Count
    sha256: Sha256


class Refused(Entry):
    """Something of a peer, or of a stranger, was refused; ``times`` counts since the service began."""

    kind = "refused"
    peer: Text
    code: Text
    reason: Text
    times: Count


class Clipped(Entry):
    """A share was let into the mean in part: ``factor`` of its difference, 0 for nothing (``gossip.clipping``)."""

    kind = "clipped"
    peer: Text
    exchange: Count
    factor: Number
    where: Text


class Finished(Entry):
    """The model is there."""

    kind = "finished"
    federation: Sha256
    model: Sha256


class Torn(Entry):
    """A line that a power cut tore was set aside in ``file``."""

    kind = "torn"
    file: Text
    size_bytes: Count
    sha256: Sha256


class Checkpoint(Entry):
    """The site's signature under the head before this record: its own ``number`` and ``before``."""

    kind = "checkpoint"
    signature: Annotated[str, Field(pattern="^([0-9a-f]{2}){8,80}$")]


KINDS: dict[str, type[Entry]] = {
    each.kind: each
    for each in (
        *(Started, Rehearsed, Approved, Renewed, Joined, ShareSent, ShareReceived),
        *(Refused, Clipped, Finished, Torn, Checkpoint),
    )
}
