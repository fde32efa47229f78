"""The watch on a PACS: each new CT series is fetched, contoured, and its structure set stored beside it.

Law
    1. A series is complete when its count of images is the same in two looks; only then is it fetched, and only if as
       many come is it drawn on.
    2. What fails costs the series, never the watch: it is noted with its number, tried again after a pause that grows,
       ``MOST_TRIES`` times in all.
    3. A PACS that is away, or no longer lets us in, costs nobody a try: it is said once, and waited for. It is one that
       fails at the smallest question, too; one that answers that has something against the series.
    4. Nothing is stored that was not drawn on that series, or in which nothing is drawn.
    5. A series that is held back has its answer, and is not tried again.
    6. ``watch_state`` says why a watch that is killed at any moment contours nothing twice and loses nothing.

Time comes in from outside. What is said holds a series' key, counts and errors, nothing that a hospital wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path

from gossamer.dicom.pacs.base import Pacs, Query, SeriesAtPacs, check_uids
from gossamer.dicom.pacs.drawn import check_drawn, is_drawn
from gossamer.dicom.pacs.settings import WatchSettings
from gossamer.dicom.pacs.watch_state import Entry, WatchState
from gossamer.dicom.series.key import KEY_DIGITS
from gossamer.errors import GossamerError, NotFetchedError, PacsAwayError, PacsError, UnlikeCtError
from gossamer.watch import as_clock

MOST_TRIES = 3

FIRST_PAUSE_S, PAUSE_GROWS = 60.0, 10.0
"""Before a series is tried again: a minute, ten, …; slices that come late, or a full disk, take such times."""

LONGEST_OUTAGE_PAUSE_S = 600.0
"""Between looks at a PACS that is away: it is back in use ten minutes after it is back, at the latest."""


@dataclass
class PacsWatch:
    """A watch.

    Attributes:
        pacs: that is watched.
        settings: which series are contoured.
        model_hash: SHA-256 of the model that draws.
        state: what was done.
        contour: draws on the only series of a folder; returns the structure set, in a folder beside it. Raises a
            GossamerError if it cannot.
        now: the time, with its zone.
        sleep: waits for some seconds.
        say: tells a person.
    """

    pacs: Pacs
    settings: WatchSettings
    model_hash: str
    state: WatchState
    contour: Callable[[Path], Path]
    now: Callable[[], datetime]
    sleep: Callable[[float], None]
    say: Callable[[str], None]
    _counts: dict[str, int] = field(default_factory=dict, init=False)

    def run_once(self, interval_s: float) -> None:
        """Look twice, so that it is known which series are complete, and contour these.

        Raises:
            PacsError: the PACS cannot be asked.
        """
        self.look()
        self.sleep(interval_s)
        self.look()

    def run(self, interval_s: float) -> None:
        """Look again and again, until an exception from outside ends it.

        Raises:
            PacsError: the PACS cannot be asked, and never could; that is no outage.
        """
        away_since: datetime | None = None
        pause_s, met = interval_s, False
        while True:
            try:
                self.look()
            except PacsError as error:
                if not met and not isinstance(error, PacsAwayError):
                    raise
                if away_since is None:
                    away_since = self.now()
                    self.say(f"The watch waits for the PACS. {error.code}: {error}")
                pause_s = min(2 * pause_s, max(interval_s, LONGEST_OUTAGE_PAUSE_S))
                self.sleep(pause_s)
                continue
            met = True
            if away_since is not None:
                self.say(f"The PACS answers again, after {as_clock((self.now() - away_since).total_seconds())}.")
                away_since, pause_s = None, interval_s
            self.sleep(interval_s)

    def look(self) -> None:
        """Ask the PACS once, and contour the series that are new and complete.

        Raises:
            PacsError: it cannot be asked, or went away meanwhile.
            StorageError: what was done cannot be written down.
        """
        for digest in self.state.waiting():
            entry = self.state.entry(digest)
            if entry is None or entry.state != "trying":
                self.state.take_back(digest)  # stored, and the process was killed before it was tidied up
            elif self._has_waited(entry):
                self._try(digest, entry.images)
        since = self.now().date() - timedelta(days=self.settings.days)
        found = self.pacs.find_series(Query(modality="CT", since=since))
        before, self._counts = self._counts, {}
        for series in found:
            if fits(self.settings, series) and self._is_due(series):
                count = self._counts[series.digest] = self._count(series)
                if count >= self.settings.fewest_images and before.get(series.digest) == count:
                    self._try(series.digest, count, series)

    def _count(self, series: SeriesAtPacs) -> int:
        """How many images a series has; 0 of one that cannot be asked for, which costs it a try."""
        try:
            check_uids(series.study_uid, series.series_uid)
            return self.pacs.count_images(series) if series.instances is None else series.instances
        except PacsError as error:
            if not self._is_about_series(error):
                raise
            before = self.state.entry(series.digest)
            entry = Entry(
                state="trying", at_s=self.now().timestamp(), images=0, tries=(before.tries if before else 0) + 1
            )
            self._note_failure(series.digest, entry, error)
            return 0

    def _is_about_series(self, error: GossamerError) -> bool:
        """Whether an error is the series', rather than one of a PACS that is away or lets us in no more."""
        if isinstance(error, PacsError):
            try:
                self.pacs.check()
            except PacsError:
                return False
        return True

    def _has_waited(self, entry: Entry) -> bool:
        return self.now().timestamp() >= entry.again_at_s

    def _is_due(self, series: SeriesAtPacs) -> bool:
        entry = self.state.entry(series.digest)
        if entry is None:
            return True
        if entry.state == "trying":
            return self._has_waited(entry)
        if entry.state == "done" and series.instances is not None and series.instances > entry.images:
            self.say(
                f"Series {series.key} has {series.instances} images now, and had {entry.images} when it was contoured; "
                "it is not contoured again."
            )
            self.state.note(series.digest, entry.model_copy(update={"images": series.instances}))
        return False

    def _try(self, digest: str, count: int, series: SeriesAtPacs | None = None) -> None:
        """Contour a series, or without one send what is in the outbox; note what became of it."""
        began = self.now()
        before = self.state.entry(digest)
        tried = before.tries if before else 0
        entry = Entry(state="trying", at_s=began.timestamp(), images=count, tries=tried + 1)
        if tried >= MOST_TRIES:  # the last one never came back
            self._give_up(digest, entry.model_copy(update={"tries": tried}))
            return
        self.state.note(digest, entry)
        try:
            drawn = series is None or self._draw(series, count)
            if drawn:
                self._send(digest)
        except UnlikeCtError as error:
            self.state.note(digest, entry.model_copy(update={"state": "held", "code": error.code}))
            self.say(f"Series {digest[:KEY_DIGITS]}, {count} images: held back. {error.code}: {error}")
            return
        except GossamerError as error:
            if not self._is_about_series(error):
                self._uncount(digest, entry)
                raise
            self._note_failure(digest, entry, error)
            return
        except Exception:
            raise  # a fault of ours that this series brings out: it counts
        except BaseException:  # a person stops the watch
            self._uncount(digest, entry)
            raise
        self.state.note(digest, entry.model_copy(update={"state": "done" if drawn else "there"}))
        self.state.take_back(digest)
        took = as_clock((self.now() - began).total_seconds())
        done = f"contoured and stored in {took}" if drawn else "this model's structure set was there already"
        self.say(f"Series {digest[:KEY_DIGITS]}, {count} images: {done}.")

    def _draw(self, series: SeriesAtPacs, count: int) -> bool:
        """Put a structure set on a series of so many images into the outbox, if it has to be drawn; returns whether."""
        with self.state.workplace() as workplace:
            if is_drawn(self.pacs, series, self.model_hash, workplace):
                return False
            fetched = self.pacs.fetch(series, workplace / "ct")
            if fetched != count:
                raise NotFetchedError(
                    f"wanted the {count} images of series {series.key} that the PACS counts; found {fetched}, as if "
                    "more were on their way; nothing was drawn"
                )
            structure_set = self.contour(workplace / "ct")
            check_drawn(structure_set, series)
            self.state.put_out(series.digest, structure_set)
        return True

    def _send(self, digest: str) -> None:
        self.pacs.store([self.state.outgoing(digest)])

    def _uncount(self, digest: str, entry: Entry) -> None:
        self.state.note(digest, entry.model_copy(update={"tries": entry.tries - 1}))

    def _note_failure(self, digest: str, entry: Entry, error: GossamerError) -> None:
        self.say(f"Series {digest[:KEY_DIGITS]}, try {entry.tries} of {MOST_TRIES}: {error.code}: {error}")
        entry = entry.model_copy(update={"code": error.code})
        if entry.tries >= MOST_TRIES:
            self._give_up(digest, entry)
            return
        pause_s = FIRST_PAUSE_S * PAUSE_GROWS ** (entry.tries - 1)
        self.state.note(digest, entry.model_copy(update={"again_at_s": self.now().timestamp() + pause_s}))

    def _give_up(self, digest: str, entry: Entry) -> None:
        self.state.note(digest, entry.model_copy(update={"state": "failed"}))
        self.state.take_back(digest)
        self.say(f"Series {digest[:KEY_DIGITS]} is given up; contour it by hand.")


def fits(settings: WatchSettings, series: SeriesAtPacs) -> bool:
    """Whether a series is among those that a site wants contoured."""
    return all(
        _matches(text, patterns)
        for text, patterns in (
            (series.description, settings.description),
            (series.station, settings.station),
            (series.body_part, settings.body_part),
            (series.institution, settings.institution),
        )
    )


def _matches(text: str, patterns: Iterable[str]) -> bool:
    patterns = list(patterns)
    return not patterns or any(fnmatchcase(text.casefold(), pattern.casefold()) for pattern in patterns)
