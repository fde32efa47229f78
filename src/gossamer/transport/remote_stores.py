"""A mailbox's folder on a server: SFTP, S3, WebDAV.

Law
    1. Server and client know each other before a password is said: SSH host keys are checked against those that are
       known, TLS certificates against those that are trusted. WebDAV is spoken over HTTPS alone. (S3 never sends its
       secret, so that its endpoint may be a plain one.)
    2. A server that says nothing is given up after a while; no call blocks for ever.

S3 and WebDAV go through fsspec, which has a driver for either. SFTP does not: fsspec's driver trusts any host key, and
reads and writes one small piece a round trip.
"""

from __future__ import annotations

import io
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import SplitResult, unquote

from pydantic import BaseModel, ConfigDict

from gossamer.transport.stores import Store

STALL_S = 60.0
"""A server that says nothing for so long is given up, and dialled again later."""

KEEPALIVE_S = 30
"""Firewalls forget connections on which nothing is said; most do so after minutes."""

REQUESTS_AHEAD = 64
"""SFTP reads under way at once, as OpenSSH's own client has it: enough for long lines, no burst that servers refuse."""


class Options(BaseModel):
    """What a kind of address can be told beside the address."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


class SftpOptions(Options):
    """How to log in; without any, a key of the user's own or of the SSH agent does.

    Attributes:
        password: of the account.
        key_file: private key.
        passphrase: of that key.
        known_hosts: file with the server's key, as ``ssh-keyscan`` writes it; else that of the user.
    """

    password: str | None = None
    key_file: str | None = None
    passphrase: str | None = None
    known_hosts: str | None = None


class S3Options(Options):
    """How to log in; without any, what the AWS tools of this machine use.

    Attributes:
        key: access key.
        secret: its secret.
        profile: of the AWS configuration, in their place.
        endpoint_url: of a server that is not Amazon's.
        region: where the bucket lies.
        ca_file: certificates to trust in place of the system's.
    """

    key: str | None = None
    secret: str | None = None
    profile: str | None = None
    endpoint_url: str | None = None
    region: str | None = None
    ca_file: str | None = None


class WebdavOptions(Options):
    """How to log in.

    Attributes:
        password: of the account that the address names.
        ca_file: certificates to trust beside the system's.
    """

    password: str | None = None
    ca_file: str | None = None


class SftpStore(Store):
    """A folder on an SFTP server."""

    def __init__(self, address: SplitResult, options: SftpOptions) -> None:
        """Connect to ``sftp://user@host:port/path``."""
        import paramiko  # noqa: PLC0415  an optional package

        self._root = unquote(address.path) or "."
        self._client = paramiko.SSHClient()  # it refuses a host whose key it does not know
        if options.known_hosts is None:
            self._client.load_system_host_keys()
        else:
            self._client.load_host_keys(options.known_hosts)
        self._client.connect(
            address.hostname,
            address.port or 22,
            username=_user(address),
            password=options.password,
            key_filename=options.key_file,
            passphrase=options.passphrase,
            timeout=STALL_S,
            banner_timeout=STALL_S,
            auth_timeout=STALL_S,
            channel_timeout=STALL_S,
        )
        self._client.get_transport().set_keepalive(KEEPALIVE_S)
        self._sftp = self._client.open_sftp()
        self._sftp.get_channel().settimeout(STALL_S)

    def read(self, path: str, most_bytes: int) -> bytes | None:
        """See ``Store``."""
        try:
            with self._sftp.open(f"{self._root}/{path}", "rb") as file:
                length = min(file.stat().st_size, most_bytes)
                file._prefetch_thread = _ending_in_silence(file._prefetch_thread)
                file.prefetch(length, REQUESTS_AHEAD)
                content: bytes = file.read(length)
                return content
        except FileNotFoundError:
            self._sftp.stat(self._root)  # that the folder is not there is an error
            return None

    def write(self, path: str, content: bytes) -> None:
        """See ``Store``."""
        try:
            self._sftp.putfo(io.BytesIO(content), f"{self._root}/{path}")
        except FileNotFoundError:
            self._sftp.mkdir(f"{self._root}/{path.partition('/')[0]}")
            self._sftp.putfo(io.BytesIO(content), f"{self._root}/{path}")

    def size_bytes(self, path: str) -> int | None:
        """See ``Store``."""
        try:
            size: int = self._sftp.stat(f"{self._root}/{path}").st_size
        except FileNotFoundError:
            return None
        return size

    def remove(self, path: str) -> None:
        """See ``Store``."""
        with suppress(FileNotFoundError):
            self._sftp.remove(f"{self._root}/{path}")

    def close(self) -> None:
        """See ``Store``."""
        self._client.close()


class FsspecStore(Store):
    """A folder behind one of fsspec's drivers."""

    def __init__(self, system: Any, root: str, close: Callable[[], None] = lambda: None) -> None:
        """The folder at ``root`` of a file system of fsspec's that caches nothing."""
        self._system = system
        self._root = root
        self._close = close

    def read(self, path: str, most_bytes: int) -> bytes | None:
        """See ``Store``."""
        size_bytes = self.size_bytes(path)
        if not size_bytes:
            return None if size_bytes is None else b""  # S3 has no ranges of an empty file
        content: bytes = self._system.cat_file(self._root + path, end=min(size_bytes, most_bytes))
        return content

    def write(self, path: str, content: bytes) -> None:
        """See ``Store``."""
        self._system.pipe_file(self._root + path, content)

    def size_bytes(self, path: str) -> int | None:
        """See ``Store``."""
        try:
            size: int | None = self._system.info(self._root + path)["size"]
        except FileNotFoundError:
            return None
        return size or 0

    def remove(self, path: str) -> None:
        """See ``Store``."""
        with suppress(FileNotFoundError):
            self._system.rm_file(self._root + path)

    def close(self) -> None:
        """See ``Store``."""
        self._close()


def open_s3(address: SplitResult, options: S3Options) -> Store:
    """The folder at ``s3://bucket/prefix``."""
    from s3fs import S3FileSystem  # noqa: PLC0415  an optional package

    client = {"region_name": options.region, "verify": options.ca_file}
    system = S3FileSystem(
        key=options.key,
        secret=options.secret,
        profile=options.profile,
        endpoint_url=options.endpoint_url,
        client_kwargs={name: value for name, value in client.items() if value is not None},
        use_listings_cache=False,
        skip_instance_cache=True,
    )
    return FsspecStore(system, "/".join(filter(None, (address.netloc, address.path.strip("/")))) + "/")


def open_webdav(address: SplitResult, options: WebdavOptions) -> Store:
    """The folder at ``webdav://user@host:port/path``."""
    from webdav4.fsspec import WebdavFileSystem  # noqa: PLC0415  an optional package

    trusted = ssl.create_default_context()
    if options.ca_file is not None:
        trusted.load_verify_locations(options.ca_file)
    user = _user(address)
    host = address.netloc.rpartition("@")[2]
    system = WebdavFileSystem(
        f"https://{host}{address.path}",
        auth=(user, options.password or "") if user else None,
        verify=trusted,
        timeout=STALL_S,
        skip_instance_cache=True,
    )
    return FsspecStore(system, "", system.client.http.close)


def _ending_in_silence(ask_ahead: Callable[..., None]) -> Callable[..., None]:
    """What paramiko asks ahead with, in a thread of its own, where Python would write to the console that it failed.

    Whoever reads finds the connection ended, too, and says so.
    """
    from paramiko import SSHException  # noqa: PLC0415  an optional package

    def ask(*arguments: Any) -> None:
        with suppress(SSHException, EOFError, OSError):
            ask_ahead(*arguments)

    return ask


def _user(address: SplitResult) -> str | None:
    return unquote(address.username) if address.username else None
