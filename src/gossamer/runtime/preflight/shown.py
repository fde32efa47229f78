"""Whose certificate answers at a peer's address: the peer's, another site's, or that of something on the way.

Judged as a line judges (signed by the very identity that the roster holds, and valid now), with words for each case.
"""

from __future__ import annotations

import ssl
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from gossamer.errors import InterceptedTlsError, NotTlsError, OtherIdentityError, PeerCertificateError
from gossamer.transport.grpc_lines import Peer
from gossamer.transport.identity import site_id_of_tls_name, spoken

NAME_LETTERS = 60
"""A stranger's certificate may hold names of any length."""


def shown_certificate(tls: ssl.SSLSocket) -> x509.Certificate:
    """What the other end showed.

    Raises:
        NotTlsError: nothing that can be read.
    """
    try:
        return x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"")
    except ValueError as error:
        raise NotTlsError(
            "wanted a certificate; found none that can be read; compare address and port with that site"
        ) from error


def require_identity(shown: x509.Certificate, peer: Peer, others: dict[str, str], now: datetime) -> None:
    """Refuse a certificate that is not this peer's, or not valid now, as a line would.

    Args:
        shown: by whoever answers at the peer's address.
        peer: who should.
        others: names of the other sites of the roster, by site id; this one among them.
        now: the time (UTC).

    Raises:
        InterceptedTlsError: it is no site's.
        OtherIdentityError: it is another site's.
        PeerCertificateError: it is the peer's, and has expired or not begun.
    """
    named = _site_named(shown)
    if named is None:
        raise InterceptedTlsError(
            f"wanted the certificate of site {peer.name}; found that of {_people(shown.subject)}, issued by "
            f"{_people(shown.issuer)} (SHA-256 {shown.fingerprint(hashes.SHA256()).hex()}); something opens TLS on the "
            "way: exempt this address from inspection by antivirus, firewall or proxy, or pass TCP through"
        )
    if not _is_signed_by(shown, peer.certificate):
        who = f"site {others[named]}" if named in others else f"a site with the id {_short(named)}"
        if named == peer.site_id:
            who = "one that takes its name without its key"
        raise OtherIdentityError(
            f"wanted site {peer.name} ({_short(peer.site_id)}); found {who}; a wrong address, or a new key: compare "
            "the site ids over the phone before any file is changed"
        )
    if shown.not_valid_after_utc <= now:
        raise PeerCertificateError(
            f"wanted a certificate that is valid; found one that expired on {shown.not_valid_after_utc:%Y-%m-%d}; ask "
            "that site for: gossamer site renew"
        )
    if shown.not_valid_before_utc > now:
        raise PeerCertificateError(
            f"wanted a certificate that is valid; found one from {shown.not_valid_before_utc:%Y-%m-%d %H:%M} UTC on, "
            f"while it is {now:%Y-%m-%d %H:%M} UTC here; set the clock that is wrong, here or there"
        )


def _site_named(certificate: x509.Certificate) -> str | None:
    """The site id in a certificate's name; None where it is none of a site."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        [name] = names.get_values_for_type(x509.DNSName)
    except (ValueError, x509.ExtensionNotFound):
        return None
    return site_id_of_tls_name(name)


def _is_signed_by(certificate: x509.Certificate, identity: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(identity)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _people(name: x509.Name) -> str:
    """Common name and organisation, as far as they can be printed."""
    shown = (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME)
    values = [str(part.value) for oid in shown for part in name.get_attributes_for_oid(oid)]
    said = ", ".join(values)[:NAME_LETTERS] or "nobody"
    return "'" + "".join(letter if letter.isprintable() else "?" for letter in said) + "'"


def _short(site_id: str) -> str:
    return f"{spoken(site_id)[:19]} …"
