"""Three sites rehearse over mutual TLS on loopback: what is blocked, slow or away is named, and the others finish."""

import asyncio
import time

import pytest

from gossamer.learn.trainer import SegmentationTrainer
from gossamer.runtime.audit import records_of
from gossamer.runtime.rehearsal import Report

PAIRS = {(sender, receiver) for sender in "ABC" for receiver in "ABC" if sender != receiver}


def states(report):
    """Of the lines, by sender and receiver."""
    return {(line.sender, line.receiver): line.state for line in report.lines}


def test_all_sites_end_with_the_same_table_where_all_is_well(federation):
    reports = federation.found().reports()
    for name, report in reports.items():
        assert (report.site, report.exit_status, report.faults) == (name, 0, ())
        assert states(report) == dict.fromkeys(PAIRS, "up")
        assert (report.sites, report.lines, report.run_s) == (
            reports["A"].sites, reports["A"].lines, reports["A"].run_s
        )  # fmt: skip
        assert Report.model_validate_json(report.model_dump_json()) == report
    for line in reports["A"].lines:
        assert line.round_trip_s > 0
        assert line.share_s > 0
        assert line.bytes_per_s == reports["A"].share_bytes / line.share_s
        assert line.is_whole
    assert all(0 < site.step_s < site.local_phase_s < site.round_s for site in reports["A"].sites)
    assert reports["A"].run_s > 10 * min(site.round_s for site in reports["A"].sites)


def test_what_was_said_in_a_rehearsal_is_gone_and_the_real_state_is_as_it_was(federation):
    """The data folder of these sites does not exist: nobody looked at it."""
    federation.found()
    run_folder = federation.site("A").run_folder(federation.read())
    (run_folder / "board").mkdir(parents=True)
    before = {"state-0.safetensors": b"a journal", "board/join-x.safetensors": b"a notice", "results.json": b"{}"}
    for name, content in before.items():
        (run_folder / name).write_bytes(content)
    federation.reports()
    after = {str(path.relative_to(run_folder)): path for path in run_folder.rglob("*") if path.is_file()}
    assert {name: path.read_bytes() for name, path in after.items() if name != ".lock"} == before
    assert not list(federation.folder.rglob("rehearsal"))
    entries = [record.entry for record in records_of(federation.folder / "A")]
    assert [entry.kind for entry in entries] == ["renewed", "approved", "rehearsed"]
    assert entries[-1].federation == federation.read().sha256


@pytest.mark.usefixtures("_a_line_stays_down")
def test_a_port_where_nobody_listens_is_named_and_the_others_finish(federation):
    """A dials out only, so nothing leads around B's closed port."""
    federation.found({"A": None, "B": "127.0.0.2:9"})
    reports = federation.reports()
    blocked = {("A", "B"), ("B", "A")}
    for report in reports.values():
        assert states(report) == {way: "blocked" if way in blocked else "up" for way in PAIRS}
        assert report.exit_status == 5
        assert [site.state for site in report.sites] == ["measured"] * 3
        assert report.run_s > 0
    [fault] = reports["A"].faults
    assert (fault.peer, fault.code) == ("B", "GOS-511")
    assert "port 9 at 127.0.0.2" in fault.found
    [fault] = reports["B"].faults
    assert (fault.peer, fault.code) == ("A", "GOS-512")
    assert "as others tell" in fault.found
    assert reports["C"].faults == ()
    assert reports["C"].line("A", "B").code == "GOS-511"


@pytest.mark.usefixtures("_a_line_stays_down")
def test_an_address_that_leads_to_another_site_is_named(federation):
    federation.found({"A": None, "B": federation.listens["C"]})
    reports = federation.reports()
    assert [(fault.peer, fault.code) for fault in reports["A"].faults] == [("B", "GOS-515")]
    assert states(reports["C"])["C", "A"] == "up"


def test_a_site_that_does_not_turn_up_is_named_and_keeps_nobody_longer_than_was_said(federation):
    reports = federation.found().reports("AB", wait_s=2.0)
    for report in reports.values():
        assert report.exit_status == 7
        assert [site.state for site in report.sites] == ["measured", "measured", "absent"]
        assert [(fault.peer, fault.code) for fault in report.faults] == [("C", "GOS-511")]
        assert states(report)["A", "B"] == states(report)["B", "A"] == "up"
        assert report.run_s > 0


def test_a_site_whose_waiting_is_over_takes_the_others_along(federation):
    federation.found()
    both = federation.rehearsal("A", wait_s=1.0), federation.rehearsal("B", wait_s=3600.0)
    assert [report.exit_status for report in asyncio.run(federation.run_together(*both))] == [7, 7]


def test_a_site_that_nobody_joins_ends_too(federation):
    federation.found({"A": None})
    [report] = federation.reports("A", wait_s=0.0).values()
    assert report.exit_status == 7
    assert [fault.code for fault in report.faults] == ["GOS-511", "GOS-511"]
    assert [site.state for site in report.sites] == ["measured", "absent", "absent"]


def test_a_narrow_line_is_named_as_the_slow_one(federation, narrow):
    """A dials B through it; C is dialled by both."""
    door = f"127.0.0.9:{federation.listens['B'].rpartition(':')[2]}"
    federation.found({"A": None, "B": door})

    async def run():
        async with narrow(door, federation.listens["B"], 30_000):
            return await federation.all_rehearse()

    for report in asyncio.run(run()):
        assert report.exit_status == 0
        assert sorted(report.slowest_line) == ["A", "B"]
        assert {(line.sender, line.receiver) for line in report.lines if line.is_slow} >= {("A", "B"), ("B", "A")}
        assert report.line("A", "B").bytes_per_s < 45_000
        assert report.line("A", "C").share_s < report.line("A", "B").share_s


def test_a_slow_machine_is_named(federation, monkeypatch):
    fit = SegmentationTrainer.fit

    def slow_at_c(self, params, *, steps, round_index, teachers=()):
        time.sleep(0.1 * steps if self._site == "C" else 0)
        return fit(self, params, steps=steps, round_index=round_index, teachers=teachers)

    monkeypatch.setattr(SegmentationTrainer, "fit", slow_at_c)
    for report in federation.found().reports().values():
        assert report.slowest_site == "C"
        assert not report.is_held_by_line
        assert report.sites[2].step_s > 0.1
        assert report.sites[2].rounds < report.sites[0].rounds


def test_sites_that_only_dial_out_meet_in_boxes_apart_which_are_left_empty(federation, tmp_path):
    mailbox = tmp_path / "mailbox"
    mailbox.mkdir()
    federation.found({"B": None, "C": None}, f"[mailbox]\naddress = '{mailbox.as_uri()}'\n")
    reports = federation.reports()
    assert states(reports["A"]) == dict.fromkeys(PAIRS, "up")
    assert [report.exit_status for report in reports.values()] == [0, 0, 0]
    boxes = list(mailbox.iterdir())
    assert len(boxes) == 2
    assert all(box.name.startswith("rehearsal-") for box in boxes)
    assert [path for box in boxes for path in box.iterdir() if "letter" in path.name] == []
