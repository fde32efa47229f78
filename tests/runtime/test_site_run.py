"""A site's whole run: three toy hospitals join over mutual TLS, train, and end with one model and one table."""

import asyncio
import json
import re
import shutil
import threading
from collections import Counter
from types import SimpleNamespace

import pytest
from faults.ports import own_address

from gossamer.errors import ConfigurationError, DatasetError, FolderBusyError
from gossamer.learn.trainer import SegmentationTrainer
from gossamer.node.kinds import make_node
from gossamer.only_writer import only_writer
from gossamer.runtime.audit import records_of, verify_audit
from gossamer.runtime.card import read_card
from gossamer.runtime.federation_file import add_site, read_federation
from gossamer.runtime.simulation import Simulation
from gossamer.runtime.site_folder import CARD, SETTINGS, SiteFolder, SiteSettings, init_site
from gossamer.runtime.site_run import SiteRun
from gossamer.runtime.status_endpoint import ask_status
from gossamer.segment.model_file import read_model
from gossamer.study.config import read_study
from gossamer.study.federation import agreement_of, federation_of
from gossamer.study.jobs import make_job
from gossamer.study.workspace import open_datasets, open_workspace
from gossamer.transport import mailbox_line
from gossamer.transport.grpc_lines import GrpcTransport
from gossamer.watch import Unwatched

FEDERATION = """
title = "Three toy hospitals"
structures = ["Kidney_L", "Kidney_R", "Prostate"]
rounds = 2
local_steps = 5
pace = "lockstep"
seed = 1

"""
"""Plan and recipe follow, as the toy study has them."""


def found(toy_home, folder):
    """A federation file and the folders of its three sites, which have approved it."""
    file = folder / "FED.toml"
    study = (toy_home / "study.toml").read_text()
    file.write_text(FEDERATION + study[study.index("[plan]") : study.index("[arms.")])
    for at, name in enumerate("ABC", start=1):
        address = own_address(f"127.0.0.{at}")
        # Site C only dials out.
        own = {"listen": address, "address": address} if name != "C" else {}
        status = own_address(f"127.0.0.{at}")
        data = str(toy_home / "data" / name)
        init_site(folder / name, SiteSettings(name=name, data=data, status=status, **own))
        add_site(file, read_card(folder / name / CARD))
    for name in "ABC":
        SiteFolder(folder / name).approve(read_federation(file))
    return file


@pytest.fixture
def federation(toy_home, tmp_path):
    return found(toy_home, tmp_path)


class Said(Unwatched):
    """Remembers what was said."""

    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)


def run_of(federation, name, watch=None):
    return SiteRun(SiteFolder(federation.parent / name), read_federation(federation), watch or Unwatched())


async def all_run(federation, names="ABC"):
    async with asyncio.timeout(120):
        return await asyncio.gather(*(run_of(federation, name).run() for name in names))


@pytest.fixture(scope="module")
def finished(toy_home, tmp_path_factory):
    """One that has run to its end, and the table that each site ended with; not to be written to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda _descriptor: None)
        file = found(toy_home, tmp_path_factory.mktemp("finished"))
        return SimpleNamespace(file=file, tables=asyncio.run(all_run(file)))


@pytest.fixture
def simulated(toy_home, tmp_path):
    """The model that the study's simulation of the same sites ends with."""
    study = read_study(toy_home / "study.toml").model_copy(update={"seeds": (1,), "steps": 10})
    workspace = open_workspace(study, open_datasets(study, toy_home), tmp_path / "study", Unwatched())
    arm = study.arms["gossip"].model_copy(update={"topology": "mesh", "guard": "clipping"})  # a federation's own
    study = study.model_copy(update={"arms": {"gossip": arm}})
    job = make_job(study, workspace.sites, "gossip", arm.schedules[0], 1)
    made = federation_of(job, workspace, {})
    agreement = agreement_of(job, made.algorithm, made.topology, made.masses)
    nodes = [make_node(site, agreement, mass, made.params) for site, mass in made.masses.items()]
    return Simulation(nodes, made.trainers, local_steps=job.local_steps, seed=1).run().params


def test_three_hospitals_end_with_one_table_and_the_bits_of_the_study(finished, simulated):
    federation, tables = finished.file, finished.tables
    assert tables[0].sites == tables[1].sites == tables[2].sites
    assert {table.federation for table in tables} == {read_federation(federation).sha256}
    assert [(site.site, site.result.cases, site.result.rounds) for site in tables[0].sites] == [
        ("A", 2, 2), ("B", 2, 2), ("C", 1, 2)
    ]  # fmt: skip
    assert [organ.patients for organ in tables[0].sites[0].result.organs] == [2, 2, 2]
    assert all(sum(site.result.shares.values()) for site in tables[0].sites)
    for name, table in zip("ABC", tables, strict=True):
        folder = run_of(federation, name).folder
        assert json.loads((folder / "results.json").read_text()) == table.model_dump(mode="json")
        model = read_model(folder / "model.safetensors")
        assert model.record.sites == {"A": 2, "B": 2, "C": 1}
        assert model.record.federation == table.federation
        assert model.learned.cases == 5
        for key, tensor in simulated[name].items():
            assert model.params[key].numpy().tobytes() == tensor.numpy().tobytes(), key


def test_both_logs_of_an_exchange_name_the_same_shares(finished):
    sent, received = set(), set()
    for name in "ABC":
        folder = finished.file.parent / name
        records = [record.entry for record in records_of(folder)]
        assert verify_audit(folder).signed > 0
        assert [entry.kind for entry in records[:3]] == ["renewed", "approved", "started"]
        assert {entry.peer for entry in records if entry.kind == "joined"} == set("ABC") - {name}
        assert [entry.kind for entry in records].count("finished") == 1
        sent |= {(name, each.peer, each.exchange, each.sha256) for each in records if each.kind == "share-sent"}
        received |= {(each.peer, name, each.exchange, each.sha256) for each in records if each.kind == "share-received"}
    assert sent == received
    assert sent


def test_a_site_that_is_stopped_while_it_closes_lets_its_port_go(federation, monkeypatch):
    """Else the same site could not begin again in this process."""
    begin, end, closed = GrpcTransport.start, GrpcTransport.close, []

    async def life():
        listens = asyncio.Event()

        async def start(self):
            await begin(self)
            listens.set()

        async def close(self):
            running.cancel()
            await asyncio.sleep(0)
            await end(self)
            closed.append(self)

        monkeypatch.setattr(GrpcTransport, "start", start)
        monkeypatch.setattr(GrpcTransport, "close", close)
        running = asyncio.create_task(run_of(federation, "A").run())
        async with asyncio.timeout(60):
            await listens.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert running.cancelled()

    async def run():
        await life()
        await life()

    asyncio.run(run())
    assert len(closed) == 2


def test_sites_that_are_stopped_in_between_end_alike(federation, simulated):
    async def life(name, seconds):
        run = asyncio.create_task(run_of(federation, name).run())
        await asyncio.wait({run}, timeout=seconds)
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)

    async def run():
        for seconds in (0.3, 0.8, 1.5):
            await asyncio.gather(*(life(name, seconds) for name in "ABC"))
        return await all_run(federation)

    asyncio.run(run())
    model = read_model(run_of(federation, "B").folder / "model.safetensors")
    for key, tensor in simulated["B"].items():
        assert model.params[key].numpy().tobytes() == tensor.numpy().tobytes(), key


def test_two_sites_that_only_dial_out_meet_in_a_folder(federation, simulated, monkeypatch):
    """B has no address either here: A reaches both by lines, B and C each other through the mailbox."""
    text = federation.read_text()
    address = SiteFolder(federation.parent / "B").settings.address
    federation.write_text(text.replace(f'address = "{address}"\n', ""))
    mailbox = federation.parent / "mailbox"
    mailbox.mkdir()
    for name in "ABC":
        settings = federation.parent / name / SETTINGS
        if name == "B":
            settings.write_text(re.sub("(listen|address) = .*\n", "", settings.read_text()))
        if name != "A":
            settings.write_text(f"{settings.read_text()}\n[mailbox]\naddress = '{mailbox.as_uri()}'\n")
        SiteFolder(federation.parent / name).approve(read_federation(federation))
    monkeypatch.setattr(mailbox_line, "LOOK_S", (0.02, 0.2))
    asyncio.run(all_run(federation))
    assert any(mailbox.rglob("*"))
    model = read_model(run_of(federation, "C").folder / "model.safetensors")
    for key, tensor in simulated["C"].items():
        assert model.params[key].numpy().tobytes() == tensor.numpy().tobytes(), key


def test_two_sites_without_any_way_are_told_so(federation):
    address = SiteFolder(federation.parent / "B").settings.address
    federation.write_text(federation.read_text().replace(f'address = "{address}"\n', ""))
    SiteFolder(federation.parent / "C").approve(read_federation(federation))
    with pytest.raises(ConfigurationError, match=r"a way to site B; .* \[mailbox\]"):
        asyncio.run(run_of(federation, "C").run())


def test_a_run_that_has_ended_is_the_same_again(finished, tmp_path):
    again = shutil.copytree(finished.file.parent, tmp_path / "again") / finished.file.name
    assert asyncio.run(all_run(again)) == finished.tables


def test_what_a_site_does_not_share_stands_as_refused_everywhere(federation):
    settings = federation.parent / "B" / SETTINGS
    settings.write_text(settings.read_text() + "share_scores = false\nsmallest_count = 2\n")
    tables = asyncio.run(all_run(federation))
    for table in tables:
        assert [site.result.refused for site in table.sites] == [False, True, False]
        assert table.sites[1].result.organs == ()


def test_other_data_than_a_site_joined_with_are_refused(federation, toy_home):
    run = run_of(federation, "A")
    begun(run, (run.folder / "data.sha256").exists)
    settings = federation.parent / "A" / SETTINGS
    settings.write_text(re.sub("data = .*", f"data = {str(toy_home / 'data' / 'B')!r}", settings.read_text()))
    with pytest.raises(DatasetError, match="other data"):
        run_of(federation, "A")


def test_a_file_that_was_changed_after_approval_is_refused(federation):
    federation.write_text(federation.read_text().replace("rounds = 2", "rounds = 3"))
    with pytest.raises(ConfigurationError, match="approv"):
        run_of(federation, "A")


def test_a_site_does_not_run_twice(federation):
    run = run_of(federation, "A")
    with only_writer(run.folder), pytest.raises(FolderBusyError):
        asyncio.run(run.run())


def begun(run, condition):
    """A run that is stopped as soon as something is so."""

    async def work():
        task = asyncio.create_task(run.run())
        async with asyncio.timeout(120):
            while not condition():
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(work())


def test_a_process_believes_what_another_wrote_between_its_start_and_its_holding_the_folder(federation):
    slow = run_of(federation, "A")
    assert [path.name for path in slow.folder.iterdir()] == []
    quick = run_of(federation, "A")
    begun(quick, lambda: quick.status().waits_for == ("B", "C"))
    [told] = (slow.folder / "board").glob("join-*")
    before = told.stat().st_ino
    begun(slow, lambda: slow.status().waits_for == ("B", "C"))
    assert told.stat().st_ino == before  # it was not said a second time, in other words perhaps


def test_a_site_that_joins_later_is_not_waited_for_by_those_that_join_now(federation):
    joining_later(federation, 2)
    run = run_of(federation, "A")
    seen = []

    def has_joined():
        seen.append(run.status().waits_for)
        return seen[-1] == ("B",)

    begun(run, has_joined)
    assert not any("C" in waits for waits in seen)


def test_a_running_site_tells_what_it_knows_of_each_peer(federation):
    run = run_of(federation, "A")

    async def work():
        tasks = [asyncio.create_task(each.run()) for each in (run, run_of(federation, "B"))]
        async with asyncio.timeout(120):
            while not (found := run.status()).peers[0].joined or not found.peers[0].reachable:
                await asyncio.sleep(0.02)
        asked = await asyncio.to_thread(ask_status, SiteFolder(federation.parent / "A").settings.status)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return asked

    found = asyncio.run(work())
    assert (found.site, found.stage, found.waits_for) == ("A", "joining", ("C",))
    assert [(peer.site, peer.reachable, peer.joined, peer.agreed) for peer in found.peers] == [
        ("B", True, True, False), ("C", False, False, False)
    ]  # fmt: skip


def test_a_site_says_for_whom_it_waits(federation):
    said = Said()

    async def run():
        work = asyncio.create_task(run_of(federation, "A", said).run())
        async with asyncio.timeout(120):
            while "waiting for site B, C" not in said.lines:
                await asyncio.sleep(0.02)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)

    asyncio.run(run())


def test_at_its_own_pace_each_site_ends_with_the_same_model_and_table(federation):
    for_everyone(federation, federation.read_text().replace('pace = "lockstep"', 'pace = "asynchronous"'))
    tables = asyncio.run(all_run(federation))
    assert tables[0].sites == tables[1].sites == tables[2].sites
    models = [read_model(run_of(federation, name).folder / "model.safetensors").params for name in "ABC"]
    for key, tensor in models[0].items():
        assert all(model[key].numpy().tobytes() == tensor.numpy().tobytes() for model in models[1:]), key
    assert sum(site.result.rounds for site in tables[0].sites) >= 3 * 2
    assert tables[0].absent == ()


def joining_later(federation, rounds):
    text = federation.read_text().replace('pace = "lockstep"', 'pace = "asynchronous"')
    text = text.replace("rounds = 2", f"rounds = {rounds}")
    for_everyone(federation, text.replace('[[sites]]\nname = "C"', '[[sites]]\nname = "C"\njoins_later = true'))


def test_a_site_that_joins_later_is_not_waited_for_and_named_while_it_is_absent(federation):
    joining_later(federation, 2)
    tables = asyncio.run(all_run(federation, "AB"))
    assert [table.absent for table in tables] == [("C",), ("C",)]
    models = [read_model(run_of(federation, name).folder / "model.safetensors").params for name in "AB"]
    for key, tensor in models[0].items():
        assert models[1][key].numpy().tobytes() == tensor.numpy().tobytes(), key


def test_a_site_that_joins_in_the_middle_of_a_run_ends_with_the_others_model(federation, monkeypatch):
    """The founders have done three local phases each, and begin no other one before C does."""
    joining_later(federation, 5)
    fit, begun_by, c_takes_part = SegmentationTrainer.fit, Counter(), threading.Event()

    def founders_wait_for_c(trainer, params, **rest):
        begun_by[trainer._site] += 1
        if trainer._site == "C":
            c_takes_part.set()
        elif begun_by[trainer._site] > 3:
            c_takes_part.wait(200)
        return fit(trainer, params, **rest)

    monkeypatch.setattr(SegmentationTrainer, "fit", founders_wait_for_c)

    async def run():
        works = [asyncio.create_task(run_of(federation, name).run()) for name in "AB"]
        async with asyncio.timeout(300):
            while min(begun_by["A"], begun_by["B"]) <= 3:
                await asyncio.sleep(0.02)
            return await asyncio.gather(*works, run_of(federation, "C").run())

    tables = asyncio.run(run())
    assert tables[0].absent == tables[2].absent == ()
    rounds = {site.site: site.result.rounds for site in tables[2].sites}
    assert 1 <= rounds["C"] <= sum(rounds.values()) - 2 * 3
    models = [read_model(run_of(federation, name).folder / "model.safetensors") for name in "ABC"]
    assert models[2].record.sites == {"A": 2, "B": 2, "C": 1}
    for key, tensor in models[0].params.items():
        assert all(model.params[key].numpy().tobytes() == tensor.numpy().tobytes() for model in models[1:]), key


def for_everyone(federation, text):
    """Another federation file, approved at all sites."""
    federation.write_text(text)
    for name in "ABC":
        SiteFolder(federation.parent / name).approve(read_federation(federation))
