"""A watch on a virtual clock, with a PACS that is a folder."""

import json
from datetime import UTC, datetime, timedelta

from tests.dicom.pacs.drawing import MODEL_HASH, draw_box
from tests.dicom.pacs.peers import FolderPacs
from tests.dicom.phantom_series import write_series

from gossamer.dicom.files.headers import read_headers
from gossamer.dicom.pacs.settings import WatchSettings
from gossamer.dicom.pacs.watch import PacsWatch
from gossamer.dicom.pacs.watch_state import opened_state

SHAPE = (3, 6, 8)
FEWEST = WatchSettings(fewest_images=3)


class Killed(BaseException):
    """A power cut."""


class Bench:
    """A watch with its PACS, its clock and all that it said."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "archive").mkdir()
        self.pacs = FolderPacs(folder / "archive")
        self.now = datetime(2026, 3, 4, 12, tzinfo=UTC)
        self.said, self.slept, self.contour = [], [], draw_box
        self.settings = FEWEST

    def arrives(self, series_uid="1.2.3.2", **changes):
        return write_series(self.pacs.folder, **{"shape": SHAPE, "series_uid": series_uid} | changes)

    def watch(self, state):
        return PacsWatch(
            pacs=self.pacs, settings=self.settings, model_hash=MODEL_HASH, state=state, contour=self._contour,
            now=lambda: self.now, sleep=self.sleep, say=self.said.append,
        )  # fmt: skip

    def _contour(self, folder):
        return self.contour(folder)

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)

    def run_once(self):
        with opened_state(self.folder / "state") as state:
            self.watch(state).run_once(60.0)
            return state.counts()

    @property
    def drawn(self):
        """Series of the structure sets in the archive, one for each."""
        headers = read_headers(self.pacs.folder).headers
        return [header.series_uid for header in headers if header.modality == "RTSTRUCT"]

    @property
    def entries(self):
        return list(json.loads((self.folder / "state" / "watch.json").read_text())["series"].values())

    @property
    def left(self):
        return sorted(p.name for name in ("outbox", "work") for p in (self.folder / "state" / name).glob("*"))
