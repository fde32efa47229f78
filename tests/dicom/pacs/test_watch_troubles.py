"""The watch on a virtual clock, in trouble: killed, refused, left alone by the PACS, or with a series that fails."""

from datetime import timedelta
from itertools import pairwise

import pydicom
import pytest
from tests.dicom.pacs.bench import Killed
from tests.dicom.pacs.drawing import draw_box

from gossamer.dicom.files.headers import read_headers
from gossamer.dicom.pacs.base import SeriesAtPacs
from gossamer.dicom.pacs.watch_state import opened_state
from gossamer.errors import (
    EmptyMaskError,
    FolderBusyError,
    NotStoredError,
    PacsAwayError,
    PacsError,
    PacsRefusedError,
    StorageError,
)


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
        assert state.counts() == {"done": 1, "there": 0, "held": 0, "trying": 0, "failed": 1}
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
    path = draw_box(folder)
    file = pydicom.dcmread(path)
    del file.ROIContourSequence[0].ContourSequence
    file.save_as(path)
    return path


def of_another(folder):
    """A structure set of the right study on another series."""
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
    for _ in range(3):
        bench.run_once()
        bench.now += timedelta(hours=1)
    assert bench.run_once() == {"done": 1, "there": 0, "held": 0, "trying": 0, "failed": 2}
    assert {line.partition(": ")[2][:7] for line in bench.said if ", try " in line} == {"GOS-624", "GOS-620"}
    assert len([line for line in bench.said if "is given up" in line]) == 2
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


@pytest.mark.parametrize("error", [PacsAwayError, PacsRefusedError])
def test_series_at_which_the_pacs_falls_silent_or_shuts_its_door_does_not_stop_the_others(bench, monkeypatch, error):
    """It answers everything else: a server's worker dies of one image, a patient's study is locked."""
    bench.arrives("1.2.3.2")
    bench.arrives("1.2.3.3")
    fetch, asked = bench.pacs.fetch, []

    def fail_on_one(series, folder, *rest):
        if series.series_uid == "1.2.3.2":
            asked.append(bench.now)
            raise error("wanted a series of the PACS; found silence; try again")
        return fetch(series, folder, *rest)

    monkeypatch.setattr(bench.pacs, "fetch", fail_on_one)
    with opened_state(bench.folder / "state") as state:
        watch = bench.watch(state)
        for _ in range(30):
            watch.look()
            bench.sleep(60.0)
        assert state.counts() == {"done": 1, "there": 0, "held": 0, "trying": 0, "failed": 1}
    assert len(bench.drawn) == 1
    assert len(asked) == 3


def test_door_that_is_shut_meanwhile_costs_no_try_and_no_structure_set(bench, monkeypatch):
    """A token runs out before what was drawn is stored, and is renewed after days."""
    bench.arrives()

    def refuse(*_):
        raise PacsRefusedError("wanted to be let in; found HTTP status 401; check")

    with monkeypatch.context() as shut:
        for question in ("check", "store"):
            shut.setattr(bench.pacs, question, refuse)
        for _ in range(5):
            with pytest.raises(PacsRefusedError):
                bench.run_once()
            bench.now += timedelta(days=1)
    assert [entry["tries"] for entry in bench.entries] == [0]
    assert len(bench.left) == 1
    bench.contour = None  # it is drawn already
    assert bench.run_once()["done"] == 1


def test_state_that_is_no_text_is_told_and_not_written_over(bench):
    with opened_state(bench.folder / "state"):
        pass
    (bench.folder / "state" / "watch.json").write_bytes(b"\xff\xfe")
    with pytest.raises(StorageError, match="cannot be read"), opened_state(bench.folder / "state"):
        pass
    assert (bench.folder / "state" / "watch.json").read_bytes() == b"\xff\xfe"
