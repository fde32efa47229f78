"""From the address of a mailbox's folder to what opens it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from gossamer.documents import validate
from gossamer.errors import ConfigurationError
from gossamer.transport.remote_stores import (
    Options,
    S3Options,
    SftpOptions,
    SftpStore,
    WebdavOptions,
    open_s3,
    open_webdav,
)
from gossamer.transport.stores import LocalStore, Store


def store_opener(url: str, options: Mapping[str, Any] | None = None) -> Callable[[], Store]:
    """What opens the folder at an address; nothing is dialled before.

    Args:
        url: ``file:///path``, ``sftp://user@host:port/path``, ``s3://bucket/prefix`` or
            ``webdav://user@host:port/path`` (over HTTPS).
        options: see ``SftpOptions``, ``S3Options`` and ``WebdavOptions``.

    Raises:
        ConfigurationError: no such kind of address, or its driver is not installed.
        UnknownKeyError: an option that the kind does not have.
    """
    address = urlsplit(url)
    what = f"mailbox at {address.scheme}://{address.hostname or ''}"
    match address.scheme:
        case "file":
            validate(dict(options or {}), Options, what)
            return lambda: LocalStore(Path(unquote(address.path)))
        case "sftp":
            sftp = validate(dict(options or {}), SftpOptions, what)
            _require("paramiko", "sftp")
            return lambda: SftpStore(address, sftp)
        case "s3":
            s3 = validate(dict(options or {}), S3Options, what)
            _require("s3fs", "s3")
            return lambda: open_s3(address, s3)
        case "webdav":
            webdav = validate(dict(options or {}), WebdavOptions, what)
            _require("webdav4.fsspec", "webdav")
            return lambda: open_webdav(address, webdav)
    raise ConfigurationError(
        f"wanted an address that begins with file://, sftp://, s3:// or webdav://; found {address.scheme!r}, in the "
        "mailbox of the site file; mount other kinds of storage as a folder, and name that"
    )


def _require(module: str, extra: str) -> None:
    try:
        import_module(module)
    except ImportError as error:
        raise ConfigurationError(
            f"wanted the driver for {extra}:// addresses; found that package {module.partition('.')[0]} is not "
            f"installed, on this machine; install it with: pip install 'gossamer[{extra}]'"
        ) from error
