"""Settings, keys and certificates of this site: there, its own, closed to others, and valid now."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gossamer.documents import parse_toml
from gossamer.errors import GossamerError, IdentityError, UsageError
from gossamer.runtime.preflight.finding import Finding, fault, fault_of, ok, warning
from gossamer.runtime.site_folder import ANNOUNCED, SETTINGS, TLS, SiteFolder, SiteSettings
from gossamer.transport.identity import TlsCertificate, spoken, tls_name

RENEW = "gossamer site renew"

OTHERS = 0o077


def check_settings(folder: Path) -> tuple[SiteSettings | None, list[Finding]]:
    """Read ``site.toml``; the rest of a site is looked at without keys, too."""
    try:
        text = (folder / SETTINGS).read_text(encoding="utf-8")
        settings = parse_toml(text, SiteSettings, SETTINGS)
    except (OSError, UnicodeDecodeError):
        remedy = "give its --folder, or make one with: gossamer site init"
        return None, [fault("settings", UsageError, f"no {SETTINGS} that can be read, in {folder.name!r}", remedy)]
    except GossamerError as error:
        return None, [fault_of("settings", error)]
    where = settings.address or "dials out only"
    return settings, [ok("settings", f"site {settings.name}, {where}")]


def check_keys(folder: Path, now: datetime) -> tuple[SiteFolder | None, list[Finding]]:
    """Open the site with its identity and look at its certificates.

    Args:
        folder: of the site; its settings can be read.
        now: the time (UTC).
    """
    try:
        site = SiteFolder(folder)
    except GossamerError as error:
        return None, [fault_of("key", error)]
    groups = spoken(site.identity.site_id).split()
    mine = ok("key", f"site id {' '.join(groups[:4])} … {groups[-1]}")
    return site, [mine, *_closed_to_others(folder), *_identity_dates(site, now), *_certificate(site, now)]


def _closed_to_others(folder: Path) -> list[Finding]:
    """Modes; the identity's key was looked at when it was read."""
    if os.name != "posix":
        return []
    findings = []
    try:
        if (mode := (folder / TLS).stat().st_mode & 0o777) & OTHERS:
            findings.append(
                fault(
                    "private files",
                    IdentityError,
                    f"{TLS}, which holds a key, is open to others on this machine (mode {mode:04o})",
                    f"make a new one, closed to others: {RENEW}",
                )
            )
        if (mode := folder.stat().st_mode & 0o777) & OTHERS:
            findings.append(
                warning(
                    "private files",
                    IdentityError,
                    f"others on this machine can look into the folder, where prepared CTs will lie (mode {mode:04o})",
                    "chmod 700 it",
                )
            )
    except OSError:
        return []  # what is missing, others tell
    return findings or [ok("private files", "keys and folder are closed to others on this machine")]


def _identity_dates(site: SiteFolder, now: datetime) -> list[Finding]:
    ends = site.identity.certificate.not_valid_after_utc
    if ends - now > ANNOUNCED:
        return []
    remedy = "make a new site, whose card all others add to a new federation file: gossamer site init"
    if ends <= now:
        return [fault("key", IdentityError, f"the identity expired on {ends:%Y-%m-%d}", remedy)]
    return [warning("key", IdentityError, f"the identity expires on {ends:%Y-%m-%d}", remedy)]


def _certificate(site: SiteFolder, now: datetime) -> list[Finding]:
    check = "certificate"
    try:
        tls = site.tls
    except IdentityError as error:
        return [fault_of(check, error)]
    leaf = x509.load_pem_x509_certificates(tls.chain_pem)[0]
    if not _is_own(leaf, tls, site):
        found = f"{TLS} is not signed by this site's key, or its own key is another"
        return [fault(check, IdentityError, found, f"make a new one: {RENEW}")]
    if leaf.not_valid_before_utc > now:
        found = f"valid from {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC on; here it is {now:%Y-%m-%d %H:%M} UTC"
        return [fault(check, IdentityError, found, f"set this machine's clock (NTP), then: {RENEW}")]
    said = site.expiry(now)
    if said is None:
        return [ok(check, f"good until {tls.ends:%Y-%m-%d}")]
    found, _, remedy = said.partition(": ")
    return [(fault if tls.ends <= now else warning)(check, IdentityError, found, remedy)]


def _is_own(leaf: x509.Certificate, tls: TlsCertificate, site: SiteFolder) -> bool:
    """Signed by the identity, for its name, with the key that lies beside it."""
    try:
        leaf.verify_directly_issued_by(site.identity.certificate)
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        key = load_pem_private_key(tls.key_pem, None)
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    named = names.get_values_for_type(x509.DNSName)
    return named == [tls_name(site.identity.site_id)] and key.public_key() == leaf.public_key()
