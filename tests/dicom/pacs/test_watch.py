"""The watch on a virtual clock: which series it contours, when, and each of them once."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gossamer.dicom.pacs.base import SeriesAtPacs
from gossamer.dicom.pacs.settings import WatchSettings
from gossamer.dicom.pacs.watch import fits
from gossamer.dicom.pacs.watch_state import opened_state
from gossamer.errors import UnlikeCtError


def test_new_series_is_contoured_stored_and_told_without_its_patient(bench):
    bench.arrives(patient="Planted^Token")
    assert bench.run_once() == {"done": 1, "there": 0, "held": 0, "trying": 0, "failed": 0}
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


def test_series_that_is_held_back_has_its_answer_and_is_not_tried_again_after_a_restart(bench):
    bench.arrives()
    tries = []

    def hold_back(_folder):
        tries.append(bench.now)
        raise UnlikeCtError(
            "wanted a CT like those that the model learned from; found the warnings hu; contour by hand"
        )

    bench.contour = hold_back
    assert bench.run_once() == {"done": 0, "there": 0, "held": 1, "trying": 0, "failed": 0}
    bench.now += timedelta(hours=1)
    assert bench.run_once()["held"] == 1
    assert len(tries) == 1
    assert [line for line in bench.said if "held back. GOS-309: " in line] == bench.said
    assert bench.drawn == bench.left == []
    assert [(entry["state"], entry["code"], entry["tries"]) for entry in bench.entries] == [("held", "GOS-309", 1)]


def test_series_of_which_fewer_images_come_than_were_counted_is_not_drawn_on(bench, monkeypatch):
    """The PACS says otherwise from one question to the next, as it does while a series is on its way into it."""
    bench.arrives()
    find_series, late = bench.pacs.find_series, [1]

    def find(query):
        return [replace(one, instances=one.instances + late[0]) for one in find_series(query)]

    monkeypatch.setattr(bench.pacs, "find_series", find)
    assert bench.run_once()["trying"] == 1
    assert bench.drawn == []
    assert "GOS-624: wanted the 4 images of series 865c8b72 that the PACS counts; found 3" in bench.said[0]
    late[0] = 0
    bench.now += timedelta(minutes=2)
    assert bench.run_once()["done"] == 1


def test_state_tells_what_was_done_lately_from_what_was_ever_done(bench):
    bench.arrives()
    bench.run_once()
    later = bench.now + timedelta(hours=1)
    with opened_state(bench.folder / "state") as state:
        assert (state.counts()["done"], state.counts(later.timestamp())["done"]) == (1, 0)
