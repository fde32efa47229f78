"""The federation file: readable, with this site in its roster, and approved to the byte."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from gossamer.errors import ConfigurationError, GossamerError, IdentityError
from gossamer.runtime.card import Member
from gossamer.runtime.federation_file import Federation, read_federation
from gossamer.runtime.preflight.finding import Finding, fault, fault_of, ok, warning
from gossamer.runtime.site_folder import ANNOUNCED, SiteFolder


def check_federation(path: Path) -> tuple[Federation | None, list[Finding]]:
    """Read the file."""
    try:
        federation = read_federation(path)
    except GossamerError as error:
        return None, [fault_of("federation", error)]
    sites, structures = len(federation.settings.sites), len(federation.settings.structures)
    return federation, [ok("federation", f"{sites} sites, {structures} structures, file {federation.sha256[:12]}")]


def check_membership(site: SiteFolder, federation: Federation, now: datetime) -> list[Finding]:
    """This site's place in the roster, its approval, and how long the others' identities last."""
    try:
        member = federation.member(site.identity.site_id)
    except ConfigurationError as error:
        return [fault_of("roster", error)]
    return [*_entry(site, member), _approval(site, federation), *_aging(federation, member, now)]


def _entry(site: SiteFolder, member: Member) -> list[Finding]:
    name, address = site.settings.name, site.settings.address
    if member.name != name:
        found = f"this site stands in the roster as {member.name!r}, in its own settings as {name!r}"
        return [fault("roster", ConfigurationError, found, "correct the name in one of the two")]
    if member.address != address:
        found = f"the others have {_said(member.address)} as this site's address; its own settings say {_said(address)}"
        remedy = "correct the one that is wrong; a changed federation file is approved anew by all"
        return [warning("roster", ConfigurationError, found, remedy)]
    return [ok("roster", f"this site is in it as {member.name}")]


def _said(address: str | None) -> str:
    return address or "none (it dials out)"


def _approval(site: SiteFolder, federation: Federation) -> Finding:
    try:
        site.require_approved(federation)
    except GossamerError as error:
        return fault_of("approval", error)
    return ok("approval", "this site approved these bytes")


def _aging(federation: Federation, own: Member, now: datetime) -> list[Finding]:
    """The others' identities last ten years; nobody remembers the day."""
    findings = []
    for member in federation.settings.sites:
        if member == own:
            continue
        ends = member.identity.not_valid_after_utc
        if ends - now <= ANNOUNCED:
            found = f"the identity in the roster ends on {ends:%Y-%m-%d}"
            remedy = "that site makes a new one, and all approve the federation file with its new card"
            made = fault if ends <= now else warning
            findings.append(made("roster", IdentityError, found, remedy, member.name))
    return findings
