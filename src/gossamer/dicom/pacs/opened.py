"""From a ``pacs.toml`` to the PACS that it describes."""

from __future__ import annotations

from pathlib import Path

from gossamer.dicom.pacs.base import Pacs, require_packages
from gossamer.dicom.pacs.settings import PacsSettings


def open_pacs(settings: PacsSettings, home: Path) -> Pacs:
    """The PACS of a file; nothing is dialled before something is asked for.

    Args:
        settings: of the file.
        home: the file's folder, where secrets and certificates are looked for.

    Raises:
        ConfigurationError: the packages of the extra ``pacs`` are not installed, or a secret is not to be had.
    """
    require_packages()
    if settings.web is not None:
        from gossamer.dicom.pacs.web import WebPacs  # noqa: PLC0415  an optional package

        return WebPacs(settings.web, home)
    from gossamer.dicom.pacs.dimse import DimsePacs  # noqa: PLC0415  an optional package

    assert settings.dimse is not None  # one of the two; the settings see to it
    return DimsePacs(settings.dimse, home)
