"""Ten failures that a real swarm of eight hospitals met, each with the test that ours does not do it.

The list is the failure catalogue of this project's threat model. Each test runs what hospitals run: ``SiteRun`` or the
command line, over mutual TLS on loopback.
"""

import asyncio
import json
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
import torch
from faults.net_hospitals import Hospitals, ended, write_patients
from faults.net_proxy import FaultProxy
from faults.ports import own_address
from faults.sites import Plan, Walking, in_digits, live, undisturbed
from typer.testing import CliRunner

from gossamer.cli.main import app
from gossamer.errors import ScheduleError
from gossamer.gossip import SiteId
from gossamer.runtime.faults import FaultPlan, Outage
from gossamer.runtime.network import Line, Network
from gossamer.runtime.preflight import run as preflight
from gossamer.runtime.preflight.gpu import check_gpu
from gossamer.runtime.simulation import Simulation
from gossamer.runtime.site_folder import TLS
from gossamer.runtime.status_endpoint import ask_status
from gossamer.segment.model_file import read_model
from gossamer.transport.identity import new_identity, new_tls_certificate, write_identity

PATIENCE_S = 240.0
"""Of a test on a machine that has other work; an idle one needs a few seconds."""


@pytest.fixture
def hospitals(tmp_path):
    return lambda *names, **settings: Hospitals(tmp_path / "fed", *names, **settings)


@pytest.fixture
def gossamer(monkeypatch):
    """A command in this process: exit status, stdout."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words):
        result = CliRunner().invoke(app, [str(word) for word in words])
        return result.exit_code, result.stdout

    return run


@pytest.fixture
def quick_ends(monkeypatch):
    """A peer that is away is waited for at the end for two seconds instead of a minute."""
    monkeypatch.setattr("gossamer.node.patience.LEAST_S", 2.0)


async def until(condition):
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.02)


async def stopped(*tasks):
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def table_of(run):
    """The table that a site has, with the scores of those that told them."""
    return json.loads((run.folder / "results.json").read_text())


def told(table):
    return {site["site"] for site in table["sites"] if site["result"]}


@pytest.mark.usefixtures("quick_ends")
def test_1_a_fatal_error_of_one_site_does_not_abort_everybodys_run(hospitals, monkeypatch):
    """C's training fails for good in its second phase; A and B end with one model and say that C was away."""
    from gossamer.learn.trainer import SegmentationTrainer

    fit = SegmentationTrainer.fit

    def fails_at_c(trainer, params, **rest):
        if trainer._site == "C" and trainer._step:
            raise ScheduleError("site C: wanted a finite loss; found nan")
        return fit(trainer, params, **rest)

    monkeypatch.setattr(SegmentationTrainer, "fit", fails_at_c)
    federation = hospitals(rounds=12, pace="asynchronous")

    async def run():
        runs = {name: federation.run_of(name) for name in "ABC"}
        tasks = {name: asyncio.create_task(each.run()) for name, each in runs.items()}
        with pytest.raises(ScheduleError, match="site C"):
            await tasks["C"]
        await until(lambda: all(runs[name].status().stage == "done" for name in "AB"))
        await stopped(tasks["A"], tasks["B"])
        return [runs[name] for name in "AB"]

    a, b = asyncio.run(run())
    assert told(table_of(a)) == told(table_of(b)) == {"A", "B"}
    assert all("C" in site["result"]["away"] for site in table_of(a)["sites"] if site["result"])
    assert a.model.read_bytes() == b.model.read_bytes()


def with_an_outage_of(seconds, plan):
    """A site in the middle of a lockstep run is off the network for so long; models, and how often it was needed."""
    nodes = plan.nodes()
    trainers = {name: Walking(name, plan.seed) for name in nodes}
    faults = FaultPlan((Outage(SiteId("B"), 60.0, 60.0 + seconds),))
    network = Network(Line(delay_s=1.0))
    step_s = dict.fromkeys(nodes, 10.0)
    found = Simulation(list(nodes.values()), trainers, local_steps=2, step_s=step_s, network=network, faults=faults)
    result = found.run()
    return {name: in_digits(model) for name, model in result.params.items()}, result.virtual_s


def test_2_a_line_that_is_down_for_six_minutes_loses_no_round(tmp_path):
    """On the virtual clock six minutes; on real lines each connection is cut again and again for a second."""
    plan = Plan(rounds=12, numbers=20_000)
    expected = undisturbed(plan).models
    models, virtual_s = with_an_outage_of(360.0, plan)
    assert models == expected
    assert virtual_s > 360.0

    identities = {name: new_identity(name) for name in plan.names}

    async def run():
        listens, proxies, tasks = {}, {}, []
        for at, name in enumerate(plan.names, start=1):
            (tmp_path / name).mkdir()
            write_identity(identities[name], tmp_path / name)
            listens[name] = own_address(f"127.0.0.{at}")
            proxies[name] = FaultProxy(listens[name])
        for name in plan.names:
            roster = {
                peer: (identities[peer].pem, listens[peer] if peer == name else proxies[peer].address)
                for peer in plan.names
            }
            tasks.append(asyncio.create_task(live(tmp_path / name, plan, name, roster)))
        cuts = 0
        models = [tmp_path / name / "model" for name in plan.names]
        while not all(model.exists() for model in models):
            await asyncio.sleep(0.3)
            if cuts < 2 and (tmp_path / "A" / "state-1.safetensors").exists():
                for proxy in proxies.values():
                    proxy.set("cut")
                await asyncio.sleep(1.0)
                for proxy in proxies.values():
                    proxy.set("pass")
                cuts += 1
        await stopped(*tasks)
        for proxy in proxies.values():
            proxy.__exit__()
        return {name: json.loads((tmp_path / name / "model").read_text()) for name in plan.names}, cuts

    async def in_time():
        async with asyncio.timeout(PATIENCE_S):
            return await run()

    found, cuts = asyncio.run(in_time())
    assert cuts
    assert found == expected


def test_3_a_long_wait_is_no_silent_hang(hospitals, gossamer):
    """C is gone in the middle of a lockstep run: who waits for it says so, and since when it has not been heard."""
    federation = hospitals(rounds=40)

    async def run():
        runs = {name: federation.run_of(name) for name in "ABC"}
        tasks = {name: asyncio.create_task(each.run()) for name, each in runs.items()}
        await until(lambda: runs["C"].status().round_index >= 2)
        left_s = time.time()
        await stopped(tasks["C"])
        await until(lambda: not any(runs[name].status().peers[1].reachable for name in "AB"))
        looks = 0
        while looks < 10:  # what C had sent before may still come, and end a first wait
            waiting = any(runs[name].status().waits_for == ("C",) for name in "AB")
            looks = looks + 1 if waiting else 0
            await asyncio.sleep(0.2)
        [waits, *_] = [name for name in "AB" if runs[name].status().waits_for == ("C",)]
        asked = await asyncio.to_thread(ask_status, federation.site(waits).settings.status)
        shown = await asyncio.to_thread(gossamer, "site", "status", "--folder", federation.folder / waits)
        await stopped(tasks["A"], tasks["B"])
        return asked, shown, left_s

    asked, (status, out), left_s = asyncio.run(run())
    c = asked.peers[1]
    assert (asked.waits_for, c.site, c.reachable) == (("C",), "C", False)
    assert abs(c.since.timestamp() - left_s) < 30.0
    assert c.heard.timestamp() <= c.since.timestamp() + 1.0
    assert status == 0
    assert "waits for C" in out
    assert re.search(r"C +down +\d+ s", out)


def test_4_a_run_without_all_its_sites_says_so(hospitals):
    """C is in the roster and never comes: both commands end with status 7, and name it."""
    federation = hospitals(pace="asynchronous", joins_later="C")
    a, b = federation.start("A"), federation.start("B")
    with ended(a, b):
        assert [each.wait(PATIENCE_S) for each in (a, b)] == [7, 7], a.err
    assert "C told no result" in a.err
    assert "absent" in a.out


def test_5_a_certificate_that_has_ended_is_announced_while_the_site_runs(hospitals, gossamer):
    """It ends during the run: status and check say so, at a site that is up and was not restarted."""
    federation = hospitals()

    async def run():
        task = asyncio.create_task((run := federation.run_of("A")).run())
        await until(lambda: run.status().stage == "joining")
        await asyncio.sleep(0.5)  # the endpoint is up
        well = await asyncio.to_thread(gossamer, "site", "status", "--folder", federation.folder / "A")
        old = new_tls_certificate(federation.site("A").identity, datetime.now(UTC) - timedelta(days=100))
        (federation.folder / "A" / TLS).write_bytes(old.key_pem + old.chain_pem)
        stale = await asyncio.to_thread(gossamer, "site", "status", "--folder", federation.folder / "A")
        checked = await asyncio.to_thread(gossamer, "check", federation.file, "--folder", federation.folder / "A")
        await stopped(task)
        return well, stale, checked

    well, stale, checked = asyncio.run(run())
    assert "certificate" not in well[1]
    assert "certificate expired 10 days ago" in stale[1]
    assert "gossamer site renew" in stale[1]
    assert checked[0] != 0
    assert re.search(r"certificate +fault", checked[1])


def test_6_every_site_gets_the_results_of_every_site(hospitals):
    """B is stopped as soon as it has told its own result, and hears the others' when it is started again."""
    federation = hospitals()

    async def run():
        runs = {name: federation.run_of(name) for name in "ABC"}
        tasks = {name: asyncio.create_task(each.run()) for name, each in runs.items()}
        await until(lambda: runs["B"].status().stage in ("scoring", "waiting for results", "done"))
        await stopped(tasks["B"])
        async with asyncio.timeout(PATIENCE_S):
            return await asyncio.gather(tasks["A"], federation.run_of("B").run(), tasks["C"])

    tables = asyncio.run(run())
    assert tables[0].sites == tables[1].sites == tables[2].sites
    for table in tables:
        assert [site.site for site in table.sites] == ["A", "B", "C"]
        assert all(site.result.organs for site in table.sites)
        assert (table.absent, table.away) == ((), {})


def test_7_a_run_that_fails_does_not_end_with_status_0(hospitals):
    """Four ends of the real command: not approved, data gone, a disk that keeps nothing, a bug nobody foresaw."""
    federation = hospitals("AB")
    statuses = {}

    def end_of(name):
        command = federation.start(name)
        with ended(command):
            statuses[len(statuses)] = command.wait(PATIENCE_S)
        return command.err

    data = federation.folder / "data" / "A"
    shutil.move(data, data.with_name("away"))
    assert "GOS-307" in end_of("A")
    shutil.move(data.with_name("away"), data)
    board = federation.site("A").run_folder(federation.federation)
    shutil.rmtree(board, ignore_errors=True)
    board.parent.mkdir(exist_ok=True)
    board.write_text("no folder")
    end_of("A")
    board.unlink()
    (board / "board").mkdir(parents=True)
    (board / "results.json").mkdir()  # found only at the end
    federation.file.write_text(federation.file.read_text() + "\n")
    assert "approv" in end_of("A")
    assert list(statuses.values()) == [3, 6, 4]


def test_8_a_graphics_card_that_vanished_in_a_container_is_told(hospitals, gossamer, tmp_path, monkeypatch):
    """The driver of the machine shows in /proc, and PyTorch has no device: ``check`` names it and ends with 6."""
    card = tmp_path / "root/proc/driver/nvidia/gpus/0000:01:00.0"
    card.mkdir(parents=True)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.version.cuda", "12.8")
    monkeypatch.setattr(preflight, "check_gpu", partial(check_gpu, root=tmp_path / "root"))
    federation = hospitals("AB")
    status, out = gossamer("check", "--folder", federation.folder / "A", "--json")
    [found] = [each for each in json.loads(out)["findings"] if each["check"] == "GPU"]
    assert status == 6
    assert (found["state"], found["code"]) == ("fault", "GOS-606")
    assert "none that PyTorch can use" in found["found"]
    assert "--gpus all" in found["remedy"]


IN_A_SMALL_SHM = 'mount -t tmpfs -o size=64m tmpfs /dev/shm && exec "$@"'


def test_9_a_container_with_64_mb_of_shared_memory_trains_to_the_end(hospitals):
    """A trains with a data worker where /dev/shm holds 64 MB; what ``check`` says of it: tests/runtime/preflight."""
    own_mounts = ["unshare", "--mount", "sh", "-c", IN_A_SMALL_SHM, "sh"]
    if subprocess.run([*own_mounts, "true"], capture_output=True, check=False).returncode:
        pytest.skip("unshare --mount: this user may not mount")
    federation = hospitals("AB", workers=1)
    command = [*own_mounts, sys.executable, "-c", "from gossamer.cli.main import main; main()"]
    words = ["site", "run", federation.file, "--folder", federation.folder / "A"]
    b = federation.start("B")
    with ended(b):
        done = subprocess.run([*command, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "worker" not in done.stderr  # none was given up
        assert b.wait(PATIENCE_S) == 0


@pytest.mark.usefixtures("quick_ends")
def test_10_a_slow_sites_late_model_still_counts(hospitals, monkeypatch, tmp_path):
    """C has most patients and is ten times as slow as the others: its shares are taken in, and it is never silenced."""
    from gossamer.learn.trainer import SegmentationTrainer

    fit = SegmentationTrainer.fit

    def slowly_at_c(trainer, params, **rest):
        time.sleep(3.0 if trainer._site == "C" else 0.3)
        return fit(trainer, params, **rest)

    monkeypatch.setattr(SegmentationTrainer, "fit", slowly_at_c)
    data = {name: tmp_path / "data" / name for name in "ABC"}
    for name, folder in data.items():
        write_patients(folder, name, {"train": 5 if name == "C" else 2, "val": 1})
    federation = hospitals(rounds=10, pace="asynchronous", data=data)

    async def run():
        runs = [federation.run_of(name) for name in "ABC"]
        async with asyncio.timeout(PATIENCE_S):
            tables = await asyncio.gather(*(each.run() for each in runs))
        return runs, tables

    runs, tables = asyncio.run(run())
    rows = {site.site: site.result for site in tables[0].sites}
    assert rows["C"].rounds < min(rows["A"].rounds, rows["B"].rounds)
    assert rows["C"].rounds >= 1
    assert all(rows[name].shares["C"] >= rows["C"].rounds for name in "AB")
    assert (tables[0].absent, tables[0].away) == ((), {})
    refused = sum((Counter(run.status().refusals) for run in runs), Counter())
    assert not refused
    models = [read_model(run.model) for run in runs]
    assert models[0].record.sites == {"A": 2, "B": 2, "C": 5}
    for key, tensor in models[0].params.items():
        assert all(torch.equal(tensor, model.params[key]) for model in models[1:]), key
