"""``gossamer federation rehearse`` as hospital IT types it: tables, JSON, exit status."""

import json
import re

import pytest
from faults.ports import own_address

from gossamer.cli.rehearsal_table import lines_table, machines_table, words
from gossamer.runtime.rehearsal import Report
from gossamer.runtime.rehearsal.report import Fault, LineReport, SiteReport


@pytest.fixture
def alone(tmp_path, monkeypatch, run_main):
    """A site whose only peer has not been started; its plan is a small one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.fsync", lambda _descriptor: None)
    run_main("federation", "new", "FED.toml", "--structures", "Liver,Spleen", "--rounds", 50)
    text = (tmp_path / "FED.toml").read_text()
    (tmp_path / "FED.toml").write_text(
        text + "\n[plan]\nchannels = [4, 8]\npatch_size = [16, 16, 16]\n[recipe]\nthreads = 1\n"
    )
    for at, name in enumerate(("north", "east"), start=1):
        address = own_address(f"127.0.0.{at}")
        arguments = ("--name", name, "--data", ".", "--address", address, "--listen", address, "--folder", name)
        assert run_main("site", "init", *arguments)[0] == 0
        with (tmp_path / name / "site.toml").open("a") as settings:
            settings.write(f'status = "{own_address(f"127.0.0.{at}")}"\n')
        run_main("federation", "add-site", "FED.toml", f"{name}/card.toml")
    run_main("federation", "approve", "FED.toml", "--folder", "north")


def rehearse(run_main, *more):
    return run_main("federation", "rehearse", "FED.toml", "--folder", "north", "--wait", "0", *more)


@pytest.mark.usefixtures("alone")
def test_a_peer_that_does_not_turn_up_is_shown_and_the_status_says_so(run_main):
    status, out, err = rehearse(run_main)
    assert status == 7, err
    assert re.search(r"east +did not turn up", out)
    assert "GOS-511: site east" in out
    assert "50 rounds of 20 steps" in out
    assert "waiting for site east, 0 min at most" in err


@pytest.mark.usefixtures("alone")
def test_the_same_as_json(run_main):
    status, out, _ = rehearse(run_main, "--json")
    report = Report.model_validate_json(out)
    assert status == report.exit_status == 7
    assert [site.state for site in report.sites] == ["absent", "measured"]
    assert json.loads(out)["faults"][0]["code"] == "GOS-511"


@pytest.mark.usefixtures("alone")
def test_a_site_that_did_not_approve_the_file_does_not_rehearse(run_main):
    status, _, err = run_main("federation", "rehearse", "FED.toml", "--folder", "east")
    assert status == 4
    assert "approve" in err


# The tables


def line(sender, receiver, share_s=2.0, **other):
    usual = {"state": "up", "code": "", "round_trip_s": 0.02, "is_whole": True}
    speed = 24e6 / share_s if share_s else None
    return LineReport(sender=sender, receiver=receiver, share_s=share_s, bytes_per_s=speed, **(usual | other))


def report(**other):
    blocked = {"state": "blocked", "round_trip_s": None}
    usual = {
        "federation": "a" * 64, "title": "Three", "site": "A", "pace": "asynchronous", "rounds": 100, "local_steps": 20,
        "share_bytes": 24_000_000, "run_s": 4000.0, "lacking": (), "slowest_site": "B", "slowest_line": ("A", "B"),
        "is_held_by_line": True, "exit_status": 5,
        "sites": (
            SiteReport(site="A", state="measured", step_s=0.5, local_phase_s=10, exchange_s=8, round_s=12, rounds=120),
            SiteReport(site="B", state="measured", step_s=1.5, local_phase_s=30, exchange_s=8, round_s=33, rounds=80),
            SiteReport(site="C", state="silent"),
        ),
        "lines": (
            line("A", "B", 40.0, is_slow=True, is_whole=False), line("B", "A"),
            line("A", "C", None, code="GOS-515", **blocked), line("B", "C", None, code="GOS-512", **blocked),
        ),
        "faults": (Fault(peer="C", code="GOS-515", found="another site [bold]", remedy="correct its address"),),
    }  # fmt: skip
    return Report(**(usual | other))


def printed(table):
    from io import StringIO

    from rich.console import Console

    text = StringIO()
    Console(file=text, width=200).print(table)
    return text.getvalue()


def test_each_line_of_the_site_is_shown_in_both_directions():
    text = printed(lines_table(report()))
    assert re.search(r"B +slow +20 ms +~ 40 s +2\.0 s +0\.6 MB/s +12 MB/s", text)
    assert re.search(r"C +blocked( +–){5}", text)


def test_each_machine_is_shown():
    text = printed(machines_table(report()))
    assert re.search(r"A +500 ms +10 s +8\.0 s +12 s +120", text)
    assert re.search(r"C +told nothing( +–){4}", text)


def test_words_say_what_to_do_and_what_holds_the_run_up():
    text = "\n".join(words(report()))
    assert "GOS-515: site C: another site [bold]\n→ correct its address" in text
    assert "GOS-512: blocked from B to C: what to do stands at site B" in text
    assert "site C turned up, and told nothing" in text
    assert "Slowest machine: site B, 30 s a local phase." in text
    assert "Slowest line: from A to B, ~ 40 s a share, 0.6 MB/s. This holds the run up most." in text
    assert "100 rounds of 20 steps, pace asynchronous): about 1 h 6 min, with shares of 24 MB" in text


def test_a_lockstep_without_one_of_its_lines_is_said_never_to_end():
    text = "\n".join(words(report(pace="lockstep", run_s=None, lacking=(("A", "C"),))))
    assert "would wait for ever: it needs a line from A to C" in text


def test_nothing_is_estimated_where_nobody_was_measured():
    text = "\n".join(words(report(run_s=None, slowest_site=None, slowest_line=None)))
    assert "not known" in text
    assert "Slowest" not in text
