"""The watch on a virtual clock, with a PACS that is a folder; killed, refused, and left alone."""

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from tests.dicom.pacs.drawing import MODEL_HASH, draw_box
from tests.dicom.pacs.peers import FolderPacs
from tests.dicom.phantom_series import write_series

from gossamer.dicom.files.headers import read_headers
from gossamer.dicom.pacs.base import SeriesAtPacs
from gossamer.dicom.pacs.settings import WatchSettings
from gossamer.dicom.pacs.watch import PacsWatch, fits
from gossamer.dicom.pacs.watch_state import opened_state
from gossamer.errors import EmptyMaskError, FolderBusyError, NotStoredError, PacsError, PacsRefusedError, StorageError

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


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_new_series_is_contoured_stored_and_told_without_its_patient(bench):
    bench.arrives(patient="Planted^Token")
    assert bench.run_once() == {"done": 1, "there": 0, "trying": 0, "failed": 0}
    assert len(bench.drawn) == 1
    assert bench.left == []
    assert bench.said == ["Series 865c8b72, 3 images: contoured and stored in 0:00:00."]  # printf 1.2.3.2 | sha256sum
    state = (bench.folder / "state" / "watch.json").read_text()
    assert not [word for word in ("Planted", "1.2.3.2", "2024") if word in state]
    assert (bench.folder / "state").stat().st_mode & 0o777 == 0o700


def test_series_that_still_grows_is_left_until_it_is_as_it_was(bench):
    with opened_state(bench.folder / "state") as state:
        watch = bench.watch(state)
        bench.arrives(shape=(3, 6, 8))
        watch.look()
        bench.arrives(shape=(4, 6, 8))
        watch.look()
        assert bench.drawn == []
        watch.look()
        assert len(bench.drawn) == 1
        bench.arrives(shape=(5, 6, 8))
        watch.look()
        watch.look()
        assert len(bench.drawn) == 1
    assert [line for line in bench.said if "5 images now, and had 4" in line] == bench.said[1:]


def test_small_series_other_modalities_and_what_a_site_does_not_want_are_passed_over(bench):
    bench.arrives("1.2.1", shape=(2, 6, 8))
    bench.arrives("1.2.2", Modality="MR")
    bench.run_once()
    bench.settings = WatchSettings(fewest_images=1, description=("*planning*",))
    bench.run_once()
    assert bench.drawn == []
    assert bench.said == []


@pytest.mark.parametrize(
    ("patterns", "wanted"),
    [({}, True), ({"description": ["RT *"]}, True), ({"description": ["rt thorax?"]}, False),
     ({"station": ["ct9", "CT1"]}, True), ({"body_part": ["HEAD*"]}, False), ({"institution": ["*"]}, True),
     ({"station": ["CT1"], "body_part": ["NECK"]}, False)],
)  # fmt: skip
def test_patterns_choose_by_each_element(patterns, wanted):
    series = SeriesAtPacs("1.2", "1.3", "CT", 9, description="RT Thorax", station="CT1", body_part="CHEST")
    assert fits(WatchSettings(**patterns), series) is wanted


def test_second_run_contours_nothing_again(bench):
    bench.arrives()
    bench.run_once()
    bench.arrives("1.2.3.9")
    bench.run_once()
    bench.run_once()
    assert len(bench.drawn) == 2
    assert len(bench.pacs.fetched) == 3  # each once, and the first structure set of the study to look into


def test_without_its_state_the_watch_finds_its_own_structure_set_at_the_pacs(bench):
    bench.arrives()
    bench.run_once()
    bench.folder = bench.folder / "new"
    bench.folder.mkdir()
    assert bench.run_once()["there"] == 1
    assert len(bench.drawn) == 1
    assert "was there already" in bench.said[-1]


@pytest.mark.parametrize("when", ["before the network", "before the store", "after the store", "before it is noted"])
def test_killed_watch_resumes_without_a_second_structure_set(bench, monkeypatch, when):
    """Three of the four leave a structure set behind that must neither be lost nor be drawn anew."""
    bench.arrives()
    store, drawn = bench.pacs.store, []

    def kill(*_):
        raise Killed

    def count_and_draw(folder):
        drawn.append(folder)
        return draw_box(folder)

    def store_and_die(files):
        store(files)
        raise Killed

    bench.contour = kill if when == "before the network" else count_and_draw
    if when == "before the store":
        monkeypatch.setattr(bench.pacs, "store", kill)
    elif when == "after the store":
        monkeypatch.setattr(bench.pacs, "store", store_and_die)
    elif when == "before it is noted":
        monkeypatch.setattr("gossamer.dicom.pacs.watch_state.WatchState.take_back", kill)
    with pytest.raises(Killed):
        bench.run_once()
    monkeypatch.undo()
    bench.contour = count_and_draw
    assert bench.run_once()["done"] == 1
    assert len(drawn) == 1
    uids = {header.sop_instance_uid for header in read_headers(bench.pacs.folder).headers if header.modality != "CT"}
    assert len(uids) == 1
    assert bench.left == []


def test_failing_series_is_tried_three_times_with_growing_pauses_and_does_not_stop_the_others(bench):
    bench.arrives("1.2.3.2")
    bench.arrives("1.2.3.3")
    tries = []

    def fail_on_one(folder):
        if any("1.2.3.3.1" in header.sop_instance_uid for header in read_headers(folder).headers):
            tries.append(bench.now)
            raise EmptyMaskError("wanted a structure; found none; does it show a region that the model knows?")
        return draw_box(folder)

    bench.contour = fail_on_one
    with opened_state(bench.folder / "state") as state:
        watch = bench.watch(state)
        for _ in range(60):
            watch.look()
            bench.sleep(30.0)
        assert state.counts() == {"done": 1, "there": 0, "trying": 0, "failed": 1}
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(tries)]
    assert len(tries) == 3
    assert 60 <= gaps[0] <= 120  # a minute, and up to two looks until it is known to be complete
    assert 600 <= gaps[1] <= 660
    assert len([line for line in bench.said if "GOS-304" in line]) == 3
    assert "is given up" in bench.said[-1]
    assert {entry["code"] for entry in bench.entries} == {"", "GOS-304"}
    assert len(bench.drawn) == 1


def test_series_that_kills_the_process_is_not_tried_for_ever(bench):
    bench.arrives()
    bench.contour = lambda _folder: 1 / 0  # stands for a crash within a library
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            bench.run_once()
    assert bench.run_once()["failed"] == 1
    assert bench.left == []


def test_structure_set_that_is_refused_is_sent_again_not_drawn_again(bench):
    bench.arrives()
    drawn = []
    bench.contour = lambda folder: drawn.append(folder) or draw_box(folder)
    bench.pacs.refusal = NotStoredError("wanted the PACS to take 1 files; found that it did not take 1; ask")
    assert bench.run_once()["trying"] == 1
    assert len(bench.left) == 1
    bench.pacs.refusal = None
    bench.now += timedelta(minutes=2)
    assert bench.run_once()["done"] == 1
    assert len(drawn) == 1
    assert len(bench.drawn) == 1


def nothing_drawn(folder):
    """A structure set without a contour: what a prediction that failed might leave."""
    import pydicom

    path = draw_box(folder)
    file = pydicom.dcmread(path)
    del file.ROIContourSequence[0].ContourSequence
    file.save_as(path)
    return path


def of_another(folder):
    """A structure set of the right study on another series."""
    import pydicom

    path = draw_box(folder)
    file = pydicom.dcmread(path)
    frame = file.ReferencedFrameOfReferenceSequence[0]
    frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence[0].SeriesInstanceUID = "1.9.9"
    file.save_as(path)
    return path


@pytest.mark.parametrize(("contour", "code"), [(nothing_drawn, "GOS-304"), (of_another, "GOS-302")])
def test_structure_set_that_is_empty_or_anothers_is_not_stored(bench, contour, code):
    bench.arrives()
    bench.contour = contour
    assert bench.run_once()["trying"] == 1
    assert bench.drawn == []
    assert bench.left == []
    assert code in bench.said[0]


def test_series_that_cannot_be_asked_for_is_given_up_and_the_others_are_contoured(bench, monkeypatch):
    bench.arrives()
    find_series = bench.pacs.find_series
    odd = [SeriesAtPacs("1.2.3.1", "../../evil", "CT", 9), SeriesAtPacs("1.2.3.1", "1.2.3.4", "CT", None)]

    def count_images(_series):
        raise PacsError("wanted at most 16,384 images; found that the PACS has more; narrow the search")

    monkeypatch.setattr(bench.pacs, "find_series", lambda query: [*odd, *find_series(query)])
    monkeypatch.setattr(bench.pacs, "count_images", count_images)
    assert bench.run_once() == {"done": 1, "there": 0, "trying": 0, "failed": 2}
    assert [line.partition(": ")[2][:7] for line in bench.said[:4:2]] == ["GOS-624", "GOS-620"]
    assert "evil" not in " ".join(bench.said)


def test_outage_is_said_once_waited_for_and_costs_no_try(bench):
    bench.arrives()
    bench.pacs.away = True

    def sleep(seconds):
        bench.sleep(seconds)
        if len(bench.slept) == 7:
            bench.pacs.away = False
        if len(bench.slept) == 10:
            raise Killed

    with opened_state(bench.folder / "state") as state:
        watch = bench.watch(state)
        watch.sleep = sleep
        with pytest.raises(Killed):
            watch.run(60.0)
    assert bench.slept == [120, 240, 480, 600, 600, 600, 600, 60, 60, 60]
    assert len(bench.said) == 3
    assert bench.said[0].startswith("The watch waits for the PACS. GOS-621: ")
    assert bench.said[1] == "The PACS answers again, after 0:54:00."
    assert "contoured and stored" in bench.said[2]
    assert [entry["tries"] for entry in bench.entries] == [1]


def test_outage_of_a_month_is_waited_for(bench):
    bench.pacs.away = True

    def sleep(seconds):
        bench.sleep(seconds)
        if len(bench.slept) == 4320:  # ten minutes each
            raise Killed

    with opened_state(bench.folder / "state") as state:
        watch = bench.watch(state)
        watch.sleep = sleep
        with pytest.raises(Killed):
            watch.run(60.0)
    assert len(bench.said) == 1


def test_outage_between_drawing_and_storing_costs_no_try_either(bench):
    bench.arrives()

    def draw_and_lose_the_line(folder):
        path = draw_box(folder)
        bench.pacs.away = True
        return path

    bench.contour = draw_and_lose_the_line
    with pytest.raises(PacsError):
        bench.run_once()
    assert [entry["tries"] for entry in bench.entries] == [0]
    assert len(bench.left) == 1
    bench.pacs.away = False
    assert bench.run_once()["done"] == 1


def test_pacs_that_refuses_from_the_start_is_no_outage(bench, monkeypatch):
    def refuse(_query):
        raise PacsRefusedError("wanted to be let in; found HTTP status 401; check")

    monkeypatch.setattr(bench.pacs, "find_series", refuse)
    with opened_state(bench.folder / "state") as state, pytest.raises(PacsRefusedError):
        bench.watch(state).run(60.0)


def test_two_watches_do_not_share_a_state_and_a_damaged_one_is_told(bench):
    with opened_state(bench.folder / "state"), pytest.raises(FolderBusyError), opened_state(bench.folder / "state"):
        pass
    (bench.folder / "state" / "watch.json").write_text('{"version": 1, "ser')
    with pytest.raises(StorageError, match="JSON"), opened_state(bench.folder / "state"):
        pass


def test_what_a_killed_watch_left_of_a_patients_images_is_gone_at_the_next_start(bench):
    with opened_state(bench.folder / "state"):
        pass
    (bench.folder / "state" / "work" / "tmp1" / "ct").mkdir(parents=True)
    (bench.folder / "state" / "work" / "tmp1" / "ct" / "1.dcm").write_bytes(b"a patient")
    with opened_state(bench.folder / "state"):
        assert bench.left == []
