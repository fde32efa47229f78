"""TLS around DIMSE: whom we trust, what we show, and what a handshake that fails has to say.

Law
    1. Where the settings ask for TLS, nothing is said without it: no older version, no second try in plain text.
    2. Towards the PACS its certificate is checked, and the name in it; at our port it has to show one as well.

Source: PS3.15 B.12, the profile of BCP 195 (RFC 8996, RFC 9325): TLS 1.2 and 1.3, ephemeral keys, ciphers with
authentication.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

from gossamer.dicom.pacs.settings import DimseSettings, read_secret
from gossamer.errors import ConfigurationError, PacsCertificateError, PacsError, PacsNotTlsError

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2 (RFC 9325 4.2); those of 1.3 are all good."""

NOT_TLS = (
    *("WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"),
    *("UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "BAD_RECORD_TYPE", "NO_PROTOCOLS_AVAILABLE"),
)
"""OpenSSL's reasons where the other side's first bytes are no TLS, or none that is new enough."""

NONE_SHOWN = "PEER_DID_NOT_RETURN_A_CERTIFICATE"


class Tls:
    """Both directions of the line to one PACS.

    Attributes:
        outward: for associations that we ask for.
        inward: for our port, where the PACS calls us.
    """

    def __init__(self, settings: DimseSettings, home: Path) -> None:
        """Read certificates and keys.

        Args:
            settings: of a line that is not plain.
            home: the folder that files are relative to.

        Raises:
            ConfigurationError: one is not to be had, does not fit the other, or others may read the key.
        """
        self._settings, self._home = settings, home
        self._failure: PacsError | None = None
        self.inward = self._context(ssl.PROTOCOL_TLS_SERVER)
        self.inward.verify_mode = ssl.CERT_REQUIRED
        self.outward = self._context(ssl.PROTOCOL_TLS_CLIENT)
        self.outward.sslsocket_class = _telling(self._hear_greeting, self._hear)

    @property
    def host(self) -> str:
        """The name that has to stand in the PACS's certificate."""
        return self._settings.host

    def forget(self) -> None:
        """Before a new association: what went wrong in the last one is no matter any more."""
        self._failure = None

    def failure(self) -> PacsError | None:
        """What TLS says of an association that did not come about; None if it has nothing to say."""
        return self._failure

    def _hear(self, error: OSError) -> None:
        self._failure = failure_of(error, "host and port") or self._failure

    def _hear_greeting(self, error: OSError) -> None:
        self._hear(error)
        if self._failure is None and isinstance(error, ConnectionError | ssl.SSLEOFError):
            self._failure = PacsNotTlsError(
                "wanted TLS 1.2 or 1.3 of the PACS; found that it hangs up at the first word of it, at host and port "
                "in pacs.toml; is it the port with TLS? nothing else was sent; without TLS the file has to say "
                "plain_dimse = true"
            )

    def _context(self, side: int) -> ssl.SSLContext:
        context = ssl.SSLContext(side)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(CIPHERS)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # ca_file may be the PACS's own certificate
        settings = self._settings
        try:
            if settings.ca_file is None:
                context.load_default_certs()
            else:
                context.load_verify_locations(self._home / settings.ca_file)
        except OSError as error:
            raise _unreadable("certificates to trust", "ca_file") from error
        if settings.certificate_file is not None and settings.key_file is not None:
            key = self._home / settings.key_file
            read_secret(key, "key_file")
            try:
                context.load_cert_chain(self._home / settings.certificate_file, key, password="")  # or it would ask
            except OSError as error:
                raise _unreadable("a certificate and its private key", "certificate_file and key_file") from error
        return context


def failure_of(error: OSError, where: str) -> PacsError | None:
    """What an error of a handshake means; None if it is one of the network.

    Args:
        error: that was raised.
        where: the keys of the file that lead there.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return PacsCertificateError(
            f"wanted a certificate of the PACS that is trusted here; found: {error.verify_message}, at {where} in "
            "pacs.toml; enter its CA, or the certificate itself, as ca_file, and the name in it as host"
        )
    if not isinstance(error, ssl.SSLError):
        return None
    reason = error.reason or ""
    if reason == NONE_SHOWN:
        return PacsCertificateError(
            f"wanted the PACS to show its certificate; found that it shows none, at {where} in pacs.toml; have one "
            "entered there for the calls that it makes"
        )
    if reason in NOT_TLS:
        return PacsNotTlsError(
            f"wanted TLS 1.2 or 1.3 of the PACS; found plain text, or another protocol, at {where} in pacs.toml; is it "
            "the port with TLS? nothing was sent; without TLS the file has to say plain_dimse = true"
        )
    if "ALERT" in reason:
        words = reason.partition("ALERT_")[2].replace("_", " ").lower()
        return PacsCertificateError(
            f"wanted the PACS to accept our certificate; found that it ends the handshake: {words}, at {where} in "
            "pacs.toml; give certificate_file and key_file, and have that certificate, or its CA, trusted there"
        )
    return None


def _unreadable(wanted: str, key: str) -> ConfigurationError:
    return ConfigurationError(
        f"wanted {wanted} as PEM; found none that can be read, or that fit each other, at {key} in pacs.toml; correct "
        "it (a key has no passphrase: nobody is there to type it)"
    )


def _telling(hear_greeting: Callable[[OSError], None], hear: Callable[[OSError], None]) -> type[ssl.SSLSocket]:
    """A socket that says why it failed, to somebody who asks: pynetdicom keeps that to itself.

    In TLS 1.3 the other side's refusal of our certificate arrives with the first answer, after the handshake.
    """

    class Telling(ssl.SSLSocket):
        def do_handshake(self, block: bool = False) -> None:
            try:
                super().do_handshake(block)
            except OSError as error:
                hear_greeting(error)
                raise

        def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
            try:
                return super().recv(buflen, flags)
            except OSError as error:
                hear(error)
                raise

    return Telling
