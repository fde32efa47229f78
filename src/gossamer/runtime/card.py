"""A site's card: what it gives to the others for the roster, its name, its address and its certificate.

It knows nothing of training, so that a command about keys and addresses answers at once.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from cryptography import x509
from pydantic import AfterValidator, BaseModel, ConfigDict

from gossamer.data.description import SAFE_ID
from gossamer.documents import parse_toml
from gossamer.errors import UsageError
from gossamer.transport.identity import read_certificate, site_id_of


def _is_safe(name: str) -> str:
    if not SAFE_ID.fullmatch(name):
        raise ValueError("takes at most 64 letters, digits, '.', '_' or '-', a letter or digit first")
    return name


def _has_a_port(address: str) -> str:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise ValueError("is host:port, such as gossamer.hospital.example:7443")
    return address


SiteName = Annotated[str, AfterValidator(_is_safe)]
Address = Annotated[str, AfterValidator(_has_a_port)]


class Member(BaseModel):
    """A site of the roster.

    Attributes:
        name: what people and messages call it.
        joins_later: whether the others begin without it, on a plan of their own patients; at the asynchronous pace.
        address: ``host:port`` where its peers reach it; absent for a site that only dials out.
        certificate: its identity, as text (PEM).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: SiteName
    joins_later: bool = False
    address: Address | None = None
    certificate: str

    @property
    def identity(self) -> x509.Certificate:
        """The certificate, checked.

        Raises:
            IdentityError: it is not one that sites make.
        """
        return read_certificate(self.certificate, f"certificate of site {self.name}")

    @property
    def site_id(self) -> str:
        """SHA-256 of its public key."""
        return site_id_of(self.identity)


def read_card(path: Path) -> Member:
    """Read what a site gives to the others.

    Raises:
        UsageError: there is no such file.
        ConfigurationError: it is no card.
        IdentityError: its certificate is not one that sites make.
    """
    try:
        member = parse_toml(path.read_text(encoding="utf-8"), Member, f"card {path.name}")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"wanted a site's card; found none at {path.name!r}; ask that site for its file") from error
    _ = member.identity
    return member


def card_text(member: Member) -> str:
    """A site's card: TOML, for the roster."""
    address = f"address = {json.dumps(member.address, ensure_ascii=False)}\n" if member.address else ""
    return f'name = "{member.name}"\n{address}certificate = """\n{member.certificate}"""\n'
