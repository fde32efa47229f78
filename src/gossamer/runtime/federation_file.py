"""The federation file: what all sites agree on, the same bytes at each of them.

People write it, send it around, and approve it, each site for itself. Its SHA-256 is what sites tell each other when
they connect, so a site with another file is refused before anything else is said.

People write and compare such files on any machine, so nothing here needs PyTorch.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from gossamer.atomic import write_atomically
from gossamer.data.labels import standard_name
from gossamer.data.planning import DEFAULT_RULES, PlanRules
from gossamer.documents import parse_toml
from gossamer.errors import ConfigurationError, UsageError
from gossamer.gossip.choices import GuardName, Pace
from gossamer.gossip.topology import SiteId
from gossamer.learn.recipe import Recipe
from gossamer.runtime.card import Member, card_text

FIRST_LINES = """\
# A federation: the same file, byte for byte, at every site. After any change all sites approve it anew:
#   gossamer federation approve THIS_FILE

title = "{title}"

# TG-263 names; one output channel each. Not every site needs to draw every structure.
structures = {structures}

# Local training between two exchanges, and how often.
rounds = {rounds}
local_steps = {local_steps}

# Sites do not wait for each other: one that is slow or away costs quality, never the run. "lockstep" instead gives
# exact weighted averages after every round, and waits for all.
pace = "asynchronous"
seed = 0

# The sites follow; add one with: gossamer federation add-site THIS_FILE CARD
"""


class FederationSettings(BaseModel):
    """What stands in a federation file.

    Attributes:
        title: for people.
        structures: TG-263 names; one output channel each.
        rounds: local phases of each site; of the mean site at the asynchronous pace.
        local_steps: optimiser steps of a local phase.
        pace: whether sites wait for each other.
        algorithm: a key of ``gossamer.gossip.ALGORITHMS``; by default what suits the pace.
        topology: a key of ``gossamer.gossip.TOPOLOGIES``; by default "mesh" for a few sites in lockstep, and else the
            algorithm's own.
        guard: what each site lets into its mean of what peers send; there is no "none".
        seed: of the network's first parameters, training and random schedules.
        plan: rules from which the plan follows.
        recipe: how sites train.
        sites: the roster.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    structures: tuple[str, ...] = Field(min_length=1)
    rounds: PositiveInt
    local_steps: PositiveInt
    pace: Pace = "asynchronous"
    algorithm: str | None = None
    topology: str | None = None
    guard: GuardName = "clipping"
    seed: int = 0
    plan: PlanRules = DEFAULT_RULES
    recipe: Recipe = Recipe()
    sites: tuple[Member, ...] = ()

    @property
    def founders(self) -> tuple[SiteId, ...]:
        """The sites without which nothing begins."""
        return tuple(SiteId(member.name) for member in self.sites if not member.joins_later)


@dataclass(frozen=True)
class Federation:
    """A federation file that was read.

    Attributes:
        settings: what it says.
        sha256: of its bytes (hex); what sites compare.
    """

    settings: FederationSettings
    sha256: str

    def member(self, site_id: str) -> Member:
        """The member with this identity.

        Raises:
            ConfigurationError: the site is not in the roster.
        """
        for member in self.settings.sites:
            if member.site_id == site_id:
                return member
        others = ", ".join(member.name for member in self.settings.sites) or "nobody"
        raise ConfigurationError(
            f"wanted this site's key in the federation's roster; found {others} there, with other keys; add its card "
            "with: gossamer federation add-site"
        )


def read_federation(path: Path) -> Federation:
    """Read a federation file.

    Raises:
        UsageError: there is none.
        ConfigurationError: it does not say what is needed, or two sites are alike.
        UnknownStructureError: a structure is not a TG-263 name.
        IdentityError: a certificate is not one that sites make.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"wanted a federation file; found none at {path.name!r}; write one with: gossamer federation new"
        ) from error
    return _parsed(content, f"federation file {path.name}")


def _parsed(content: bytes, what: str) -> Federation:
    try:
        settings = parse_toml(content.decode(), FederationSettings, what)
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{what}: wanted UTF-8; found other bytes; save it as UTF-8") from error
    for structure in settings.structures:
        standard_name(structure)
    # TLS looks a certificate's signer up by its subject: of two alike the wrong one is tried, and a member is shut out.
    subjects = [member.identity.subject.rfc4514_string().casefold() for member in settings.sites]
    names, keys = [member.name for member in settings.sites], [member.site_id for member in settings.sites]
    for kind, values in (("names", names), ("keys", keys), ("names in their certificates", subjects)):
        if len(set(values)) < len(values):
            raise ConfigurationError(
                f"{what}: wanted sites of different {kind}; found two of the same; take one of them out"
            )
    if settings.sites and (settings.pace == "lockstep" and any(member.joins_later for member in settings.sites)):
        raise ConfigurationError(
            f"{what}: wanted all sites from the beginning, for they wait for each other in lockstep; found one with "
            "'joins_later'; take it out, or the pace 'asynchronous'"
        )
    if settings.sites and not settings.founders:
        raise ConfigurationError(f"{what}: wanted a site to begin with; found 'joins_later' at all; take it out at one")
    return Federation(settings, hashlib.sha256(content).hexdigest())


def new_federation(path: Path, title: str, structures: tuple[str, ...], *, rounds: int, local_steps: int) -> None:
    """Write a commented federation file without sites.

    Raises:
        UsageError: there is a file already.
    """
    if path.exists():
        raise UsageError(f"wanted to write a new federation file; found one at {path.name!r}; choose another name")
    text = FIRST_LINES.format(
        title=title.replace('"', "'"),
        structures=json.dumps(structures, ensure_ascii=False),
        rounds=rounds,
        local_steps=local_steps,
    )
    write_atomically(path, text)


def add_site(path: Path, card: Member) -> Federation:
    """Add a site at the end of a federation file; the rest stays as people wrote it.

    Raises:
        UsageError: there is no such file.
        ConfigurationError: a site of this name or key is in it already; the file is as before.
    """
    read_federation(path)
    what = f"federation file {path.name}"
    before = path.read_text(encoding="utf-8")
    after = f"{before.rstrip()}\n\n[[sites]]\n{card_text(card)}".encode()
    federation = _parsed(after, what)
    write_atomically(path, after)
    return federation
