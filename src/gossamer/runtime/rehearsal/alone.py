"""A site does one thing at a time: while it rehearses it cannot run, and while it runs it cannot rehearse.

Port, machine and lines are the same for both, whatever the federation.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from gossamer.atomic import make_folder, storage_error
from gossamer.errors import FolderBusyError, StatusError
from gossamer.only_writer import only_writer
from gossamer.runtime.site_folder import SiteFolder
from gossamer.runtime.status_endpoint import ask_status


def require_idle(site: SiteFolder) -> None:
    """Refuse while a site runs, in whatever federation.

    Raises:
        FolderBusyError: it does.
    """
    try:
        running = ask_status(site.settings.status)
    except StatusError:
        return
    if running.site_id == site.identity.site_id:
        raise _busy(site)


@contextmanager
def own_folder(site: SiteFolder, folder: Path) -> Iterator[None]:
    """The rehearsal's folder, new, until the block ends; the run's folder around it is held alone meanwhile.

    Args:
        site: that rehearses.
        folder: to be, inside the run's.

    Raises:
        FolderBusyError: the site runs, or rehearses already.
        StorageError: the folder cannot be made.
    """
    make_folder(folder.parent, "wanted a folder for this federation", mode=0o700)
    with ExitStack() as held:
        try:
            held.enter_context(only_writer(folder.parent))
        except FolderBusyError as error:
            raise _busy(site) from error
        shutil.rmtree(folder, ignore_errors=True)  # a rehearsal that was killed left it
        try:
            folder.mkdir(mode=0o700)
        except OSError as error:
            raise storage_error(error, "wanted a folder for the rehearsal") from error
        held.callback(shutil.rmtree, folder, ignore_errors=True)
        yield


def _busy(site: SiteFolder) -> FolderBusyError:
    return FolderBusyError(
        f"site {site.settings.name}: wanted to rehearse; found this site at work, in a run or another rehearsal; end "
        "that first (what it has done is kept), rehearse, and start it again"
    )
