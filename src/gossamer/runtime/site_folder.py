"""A site's own folder: who it is, where its data lies, what it has approved. It never leaves the hospital.

::

    site.toml       name, data, addresses; people may edit it
    identity.key    the private key, readable for its owner alone
    identity.pem    the identity certificate
    tls.pem         key and certificate for connections, renewed every few months; readable for its owner alone
    card.toml       what the others need for their roster
    approved.toml   the federation file that was approved, and when
    audit.jsonl     what it did and refused (``audit``)
    prepared/       cases on the plan's grid
    runs/           by federation: notices, journal, model and results (``site_run``)
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from pydantic import BaseModel, ConfigDict, Field, field_validator

from gossamer.atomic import make_folder, storage_error, write_atomically
from gossamer.documents import parse_toml
from gossamer.errors import ConfigurationError, IdentityError, StorageError, UsageError
from gossamer.runtime.audit import AuditLog
from gossamer.runtime.audit_entries import Approved, Renewed
from gossamer.runtime.card import Address, Member, SiteName, card_text
from gossamer.transport.identity import (
    Identity,
    TlsCertificate,
    new_identity,
    new_tls_certificate,
    read_identity,
    write_identity,
)
from gossamer.transport.relay_admission import SHORTEST_SECRET

if TYPE_CHECKING:
    from gossamer.runtime.federation_file import Federation  # which knows PyTorch: a second and a half

SETTINGS = "site.toml"
TLS = "tls.pem"
CARD = "card.toml"
APPROVED = "approved.toml"

ANNOUNCED = timedelta(days=30)
"""How long before its end a certificate's expiry is announced."""


class MailboxSettings(BaseModel):
    """A folder through which peers are reached that no line reaches.

    Attributes:
        address: ``file:///path``, ``sftp://``, ``s3://`` or ``webdav://`` (``transport.store_address``).
        options: passwords and keys of that kind of address.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: str
    options: dict[str, str] = Field(default_factory=dict)


class RelaySettings(BaseModel):
    """A relay at which peers are met that no line reaches.

    Attributes:
        address: ``host:port``.
        secret: by which its owner lets this site in.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: Address
    secret: str = Field(min_length=SHORTEST_SECRET)


class SiteSettings(BaseModel):
    """What stands in ``site.toml``.

    Attributes:
        name: of the site.
        data: its dataset folder; relative to the site's folder.
        listen: ``address:port`` that it listens on; absent for a site that only dials out.
        address: ``host:port`` where its peers reach it; absent likewise.
        status: ``address:port`` on this machine where ``gossamer site status`` and Prometheus read how it gets on.
        smallest_count: counts of cases below it are not told to anyone (``Fingerprint.suppressed``), nor scores that
            rest on fewer patients; 1 tells all.
        share_scores: whether the others learn how the model scored on this site's patients.
        threads: of PyTorch, where this machine should use others than the recipe says.
        mailbox: the folder through which sites meet that both only dial out.
        relay: where they meet instead of in a mailbox.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: SiteName
    data: str
    listen: Address | None = None
    address: Address | None = None
    status: Address = "127.0.0.1:7480"
    smallest_count: int = Field(default=1, ge=1)
    share_scores: bool = True
    threads: int | None = Field(default=None, ge=1)
    mailbox: MailboxSettings | None = None
    relay: RelaySettings | None = None

    @field_validator("status")
    @classmethod
    def _is_loopback(cls, status: str) -> str:
        """What a site tells of itself there is not protected by a key."""
        if not ip_address(status.rpartition(":")[0].strip("[]")).is_loopback:
            raise ValueError("is an address of this machine alone, such as 127.0.0.1:7480")
        return status


class Approval(BaseModel):
    """What stands in ``approved.toml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    title: str
    at: str


class SiteFolder:
    """An existing site's folder."""

    def __init__(self, path: Path) -> None:
        """Open it.

        Raises:
            UsageError: there is no site.
            ConfigurationError: its settings do not fit.
            IdentityError: its key or certificate cannot be used.
        """
        self.path = path
        try:
            text = (path / SETTINGS).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                f"wanted a site's folder; found no {SETTINGS} in {path.name!r}; make one with: gossamer site init"
            ) from error
        self.settings = parse_toml(text, SiteSettings, SETTINGS)
        self.identity: Identity = read_identity(path)

    @property
    def tls(self) -> TlsCertificate:
        """The certificate for connections, as it lies on the disk now: a renewed one is used without a stop.

        Raises:
            IdentityError: there is none that can be used.
        """
        try:
            pem = (self.path / TLS).read_bytes()
            key_end = pem.index(b"-----BEGIN CERTIFICATE-----")
            ends = x509.load_pem_x509_certificates(pem)[0].not_valid_after_utc
        except (OSError, ValueError) as error:
            raise IdentityError(
                f"wanted this site's certificate; found none that can be read, at {TLS}; make one with: "
                "gossamer site renew"
            ) from error
        return TlsCertificate(pem[:key_end], pem[key_end:], ends)

    @property
    def data(self) -> Path:
        """Its dataset folder."""
        return self.path / self.settings.data

    def run_folder(self, federation: Federation) -> Path:
        """Where this site keeps all of its part in a federation; it need not exist."""
        return self.path / "runs" / federation.sha256[:16]

    def renew(self, now: datetime | None = None) -> TlsCertificate:
        """Make a new certificate for connections; same site, nobody has to approve it."""
        return _renew(self.path, self.identity, now)

    def expiry(self, now: datetime | None = None) -> str | None:
        """What should be said about the certificate's end; None while it is far away."""
        return expiry_of(self.tls.ends, now or datetime.now(UTC))

    def approve(self, federation: Federation) -> Member:
        """Approve a federation file; returns this site's entry in it.

        Raises:
            ConfigurationError: this site is not in its roster, or stands there under another name.
        """
        member = federation.member(self.identity.site_id)
        if member.name != self.settings.name:
            raise ConfigurationError(
                f"wanted this site under its name {self.settings.name!r}; found {member.name!r} in the federation's "
                "roster; correct the name in one of the two"
            )
        now = datetime.now(UTC).isoformat(timespec="seconds")
        lines = {"sha256": federation.sha256, "title": federation.settings.title, "at": now}
        write_atomically(
            self.path / APPROVED,
            "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in lines.items()),
        )
        AuditLog(self.path, self.identity).note(Approved(federation=federation.sha256, title=federation.settings.title))
        return member

    def approved(self) -> Approval | None:
        """The approval on record, if any.

        Raises:
            StorageError: it cannot be read.
            ConfigurationError: it is damaged.
        """
        try:
            text = (self.path / APPROVED).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise storage_error(error, f"wanted to read {APPROVED}") from error
        return parse_toml(text, Approval, APPROVED)

    def require_approved(self, federation: Federation) -> None:
        """Refuse a federation file that was not approved byte for byte.

        Raises:
            ConfigurationError: it was not.
        """
        approval = self.approved()
        if approval is None or approval.sha256 != federation.sha256:
            found = "none" if approval is None else f"that of {approval.sha256[:12]}, given {approval.at}"
            raise ConfigurationError(
                f"wanted this site's approval of the federation file {federation.sha256[:12]}; found {found}; read the "
                "file, compare the site ids over the phone, then: gossamer federation approve"
            )


def expiry_of(ends: datetime, now: datetime) -> str | None:
    """What should be said about the end of a site's certificate; None while it is far away."""
    left = ends - now
    if left > ANNOUNCED:
        return None
    if left <= timedelta(0):
        ago = abs(left).days
        return f"the certificate expired {ago} days ago, and no peer speaks with this site: gossamer site renew"
    return f"the certificate expires in {left.days} days: gossamer site renew"


def init_site(path: Path, settings: SiteSettings) -> SiteFolder:
    """Make a site: key, certificates, card and settings.

    Raises:
        UsageError: the folder holds a site.
        IdentityError: it holds a key.
        StorageError: it cannot be written; what was written of the site is removed.
    """
    if (path / SETTINGS).exists():
        raise UsageError(f"wanted a folder for a new site; found a site in {path.name!r}; give another --folder")
    make_folder(path, f"wanted a folder {path.name!r}", mode=0o700)
    try:
        there = set(path.iterdir())
    except OSError as error:
        raise storage_error(error, f"wanted to look into {path.name!r}") from error
    try:
        return _new_site(path, settings)
    except StorageError:
        for made in set(path.iterdir()) - there:  # nobody has seen this key: the same command again makes another
            made.unlink(missing_ok=True)
        raise


def _new_site(path: Path, settings: SiteSettings) -> SiteFolder:
    """All files of a new site; the settings are the last, so that what has them is whole."""
    identity = new_identity(settings.name)
    write_identity(identity, path)
    card = Member(name=settings.name, address=settings.address, certificate=identity.pem)
    write_atomically(path / CARD, card_text(card))
    _renew(path, identity, None)
    values = settings.model_dump(exclude_defaults=True, exclude={"mailbox", "relay"})  # tables, which people write
    lines = (f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in values.items())
    write_atomically(path / SETTINGS, "".join(lines), mode=0o600)  # a password may come to stand in it
    return SiteFolder(path)


def _renew(path: Path, identity: Identity, now: datetime | None) -> TlsCertificate:
    tls = new_tls_certificate(identity, now)
    write_atomically(path / TLS, tls.key_pem + tls.chain_pem, mode=0o600)
    AuditLog(path, identity).note(Renewed(ends=tls.ends.isoformat(timespec="seconds")))
    return tls
