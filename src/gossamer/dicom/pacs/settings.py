"""``pacs.toml``: where one PACS is, who we are to it, and which series its watch contours.

Law: a secret stands in a file of its own that its owner alone can read; never in ``pacs.toml``, on a command line, in
the environment, or in a message. Patients' data cross a network in the clear only where the file says so.
"""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gossamer.documents import parse_toml
from gossamer.errors import ConfigurationError, UsageError

AeTitle = Annotated[str, Field(pattern=r"^[!-\[\]-~]([ -\[\]-~]{0,14}[!-\[\]-~])?$")]
"""Up to 16 characters without a backslash (PS3.5 6.2)."""

Port = Annotated[int, Field(ge=1, le=65535)]
Pattern = Annotated[str, Field(min_length=1, max_length=64)]


class Section(BaseModel):
    """A table of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class WebSettings(Section):
    """A PACS that speaks DICOMweb.

    Attributes:
        url: of its DICOMweb services, such as ``https://pacs.example/dicom-web``.
        user: to log in with a password.
        password_file: a file with that user's password and nothing else, readable for its owner alone; relative to
            ``pacs.toml``.
        token_file: one with a bearer token, in their place.
        ca_file: certificates to trust in place of the usual ones; relative to ``pacs.toml``.
        plain_http: allow ``http://`` to another machine, where anyone on the way can read and change patients' data.
    """

    url: str
    user: str | None = None
    password_file: str | None = None
    token_file: str | None = None
    ca_file: str | None = None
    plain_http: bool = False

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        if (self.user is None) != (self.password_file is None) or (self.user and self.token_file):
            raise ValueError("user and password_file go together, and without a token_file")
        return self

    def check_url(self) -> None:
        """Raise ConfigurationError unless the address will do; by hand, so that no password in it is ever shown."""
        parts = urlsplit(self.url)
        found = ""
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            found = "another text"
        elif parts.username or parts.password:
            found = "a user or password in it, which have keys of their own"
        elif parts.scheme == "http" and not is_loopback(parts.hostname) and not self.plain_http:
            found = "http:// to another machine, where patients' data are readable on the way (plain_http allows that)"
        if found:
            raise ConfigurationError(
                f"wanted the address of DICOMweb services, such as https://pacs.example/dicom-web; found {found}, at "
                "url in [web] of pacs.toml; correct it"
            )


class DimseSettings(Section):
    """A PACS that speaks the older protocol, DIMSE; by TLS (PS3.15 B.12), unless the file says ``plain_dimse``.

    Attributes:
        host: its name or address.
        port: its port.
        ae_title: its AE title.
        own_ae_title: ours, as its administrator has entered it.
        own_port: where we listen while series are fetched, as entered there (C-MOVE); without one C-GET is used, which
            needs no port and which fewer PACS offer.
        listen: the address we listen on; all of this machine's without one.
        ca_file: certificates to trust in place of the usual ones, the PACS's own if it alone is to be trusted; relative
            to ``pacs.toml``.
        certificate_file: our own certificate, which the PACS trusts; for ``own_port``, and where the PACS wants one.
        key_file: its private key without a passphrase, readable for its owner alone.
        plain_dimse: no TLS; anyone on the way can read and change patients' data, and an AE title proves nothing.
    """

    host: str = Field(min_length=1)
    port: Port
    ae_title: AeTitle
    own_ae_title: AeTitle = "GOSSAMER"
    own_port: Port | None = None
    listen: str = ""
    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    plain_dimse: bool = False

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        files = (self.ca_file, self.certificate_file, self.key_file)
        if self.plain_dimse and any(files):
            raise ValueError("plain_dimse goes without ca_file, certificate_file and key_file, which are for TLS")
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file go together")
        if self.own_port is not None and not self.plain_dimse and not all(files):
            raise ValueError(
                "own_port goes with ca_file, certificate_file and key_file, by which the PACS and we know each other "
                "there, or with plain_dimse = true"
            )
        return self


class WatchSettings(Section):
    """Which CT series are contoured. Texts are patterns with ``*`` and ``?``, upper or lower case; one has to fit.

    Attributes:
        days: how many days back a study may be dated; many, with ``--once``, for an archive that is there.
        fewest_images: series of fewer are passed over: scouts, single slices.
        description: of the series; any without a pattern, as below.
        station: name of the scanner.
        body_part: examined.
        institution: where it was made.
        hold_back: names of warnings of unlike CTs (docs/concepts/unlike-cts.md) with which nothing is stored.
    """

    days: int = Field(default=2, ge=0, le=36500)
    fewest_images: int = Field(default=20, ge=1)
    description: tuple[Pattern, ...] = ()
    station: tuple[Pattern, ...] = ()
    body_part: tuple[Pattern, ...] = ()
    institution: tuple[Pattern, ...] = ()
    hold_back: tuple[str, ...] = ("hu", "orientation", "body-part")


class PacsSettings(Section):
    """What stands in ``pacs.toml``: ``[web]`` or ``[dimse]``, and ``[watch]`` if it does.

    Attributes:
        web: a PACS that speaks DICOMweb.
        dimse: one that does not.
        watch: which series are contoured.
    """

    web: WebSettings | None = None
    dimse: DimseSettings | None = None
    watch: WatchSettings = WatchSettings()

    @property
    def is_plain(self) -> bool:
        """Whether the line to the PACS is plain text."""
        return self.dimse.plain_dimse if self.dimse else urlsplit(self.web.url if self.web else "").scheme == "http"

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.web is None) == (self.dimse is None):
            raise ValueError("one PACS is described by [web] or by [dimse]")
        return self


def read_settings(path: Path) -> PacsSettings:
    """Read a file.

    Raises:
        UsageError: there is none.
        ConfigurationError: it does not fit (``UnknownKeyError`` for a key that means nothing).
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"wanted a file that describes the PACS; found none that can be read at {path.name!r}; see "
            "docs/how-to/pacs.md, and give it with --pacs"
        ) from error
    settings = parse_toml(text, PacsSettings, path.name)
    if settings.web:
        settings.web.check_url()
    return settings


def read_secret(path: Path, key: str = "password_file or token_file") -> str:
    """The secret in a file.

    Args:
        path: of the file; never shown.
        key: of ``pacs.toml`` that names it.

    Raises:
        ConfigurationError: there is none, or others may read it.
    """
    where = f"at {key} in pacs.toml"  # where somebody may have written the secret itself
    try:
        mode, secret = path.stat().st_mode & 0o777, path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"wanted a file with a secret; found none that can be read, {where}; write the secret into a "
            "file, and chmod 600 it"
        ) from error
    if mode & 0o077 or not secret:
        raise ConfigurationError(
            f"wanted a secret readable for its owner alone; found {f'mode {mode:04o}' if secret else 'nothing'}, "
            f"{where}; chmod 600 it, and change the secret if strangers had access"
        )
    return secret


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
