"""Processes of a campaign, which find PyTorch imported and end with it, whatever ends it: SIGKILL, too."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

from gossamer.parent import end_with_parent

SERVICE = ("gossamer.runtime.service", "gossamer.runtime.audit", "gossamer.transport.grpc_lines")
SITE = ("gossamer.runtime.site_run", "gossamer.cli.main")


def begin(target: Callable[..., object], *arguments: object, imported: Sequence[str] = SERVICE) -> Any:
    """Let a process begin.

    Args:
        target: what it does; of a module, as are its arguments' types.
        *arguments: of it.
        imported: modules that it finds imported, if it is the first process of this one.
    """
    context: Any = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(imported))
    process = context.Process(target=_live, args=(target, arguments))
    process.start()
    return process


def pipe() -> tuple[Connection, Connection]:
    """Two ends: one may be an argument of a process."""
    return multiprocessing.get_context("forkserver").Pipe()


def _live(target: Callable[..., object], arguments: Sequence[object]) -> None:
    end_with_parent()
    target(*arguments)
