"""Sites that may only dial out end, through a relay that is a process of its own, with the bits of the simulation."""

import asyncio
import re
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from faults.ports import own_address, own_port

from gossamer.errors import ConfigurationError
from gossamer.node.kinds import make_node
from gossamer.runtime.card import read_card
from gossamer.runtime.federation_file import add_site, new_federation, read_federation
from gossamer.runtime.journal import Journal
from gossamer.runtime.service import SiteService
from gossamer.runtime.site_folder import CARD, SETTINGS, SiteFolder, SiteSettings, init_site
from gossamer.runtime.site_run import SiteRun
from gossamer.runtime.ways import transport_of
from gossamer.transport import relay_lines
from gossamer.transport.identity import new_identity, new_tls_certificate
from gossamer.transport.line_messages import Hello
from gossamer.transport.relay_lines import RelayTransport
from gossamer.transport.relay_meeting import RelayPlace
from gossamer.transport.relay_words import GREETING, NONCE_BYTES, Purpose, Word, knock
from gossamer.watch import Unwatched
from gossamer.wire.frame import build_frame
from gossamer.wire.limits import Limits

IDENTITIES = {name: new_identity(name) for name in "ABCD"}
SECRET = "a secret of the relay's owner, drawn at random"
GOSSAMER = [sys.executable, "-c", "from gossamer.cli.main import main; main()"]
SIZE = 100_000
"""Of the models: shares of several pieces, so that a relay is killed between two of them."""


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(relay_lines, "REDIAL_S", (0.05, 0.2))


@pytest.fixture
def relay(tmp_path):
    """Starts a relay's process on one port; again on the same, if it is asked to."""
    port = own_port()
    admitted = tmp_path / "admitted.toml"
    admitted.write_text(f'group = "{SECRET}"\n')
    admitted.chmod(0o600)

    @asynccontextmanager
    async def start(*options):
        command = [*GOSSAMER, "relay", "run", "--listen", f"127.0.0.1:{port}", "--admit", str(admitted), *options]
        process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
        try:
            async with asyncio.timeout(120):
                line = await process.stderr.readline()
            assert line.decode() == f"The relay listens on 127.0.0.1, port {port}.\n"
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    return SimpleNamespace(start=start, port=port, address=f"127.0.0.1:{port}")


class Hospital:
    """Everything of one site that outlives its process."""

    def __init__(self, node, trainer, home, address):
        self.node, self.new_trainer, self.address = node, trainer, address
        self.folder = home / node.site
        self.folder.mkdir()
        tls = new_tls_certificate(IDENTITIES[node.site])
        (self.folder / "tls.pem").write_bytes(tls.key_pem + tls.chain_pem)
        self.refused = []
        self.model = asyncio.get_running_loop().create_future()

    async def run(self, sites):
        state, site = self.node.snapshot().state, self.node.site
        transport = RelayTransport(
            IDENTITIES[site],
            {name: IDENTITIES[name].certificate for name in sites if name != site},
            relay=RelayPlace(self.address, SECRET.encode()),
            tls_file=self.folder / "tls.pem",
            hello=Hello(protocols=(1,), release="test", federation=self.node.agreement.federation),
            limits=Limits.of(state.params, state.own),
            folder=self.folder / "incoming",
            on_refusal=lambda who, error: self.refused.append((who, str(error))),
        )
        self.states = transport.states
        node = make_node(site, self.node.agreement, state.own, state.params)
        self.service = SiteService(node, self.new_trainer(site), transport, Journal(self.folder), local_steps=2)
        transport.on_peer_started = self.service.peer_started
        await transport.start()
        try:
            await self.service.run(id if self.model.done() else self.model.set_result)
        finally:
            await transport.close()


@pytest.fixture
def federation(simulation, noisy, tmp_path, relay):
    """The models of the simulation, and those of its sites as real ones through the relay, whatever befalls it."""

    def sites(count, rounds):
        return simulation("sweep", count=count, rounds=rounds, trainer=noisy, resend_after_s=3600.0, size=SIZE)

    async def by_relay(count, rounds, fate):
        hospitals = [
            Hospital(site.node, noisy, tmp_path, relay.address) for site in sites(count, rounds)._sites.values()
        ]
        names = [hospital.node.site for hospital in hospitals]
        lives = [asyncio.create_task(hospital.run(names)) for hospital in hospitals]
        befalling = asyncio.create_task(fate(hospitals))
        try:
            async with asyncio.timeout(240):
                models = await asyncio.gather(*(hospital.model for hospital in hospitals))
        finally:
            for task in (*lives, befalling):
                task.cancel()
            await asyncio.gather(*lives, befalling, return_exceptions=True)
        return dict(zip(names, models, strict=True)), hospitals

    return lambda count, rounds, fate: (sites(count, rounds).run().params, *asyncio.run(by_relay(count, rounds, fate)))


@pytest.mark.parametrize("count", [2, 3])
def test_sites_that_only_dial_out_end_with_the_bits_of_the_simulation(federation, relay, bits, count):
    async def in_peace(_hospitals):
        async with relay.start():
            await asyncio.Event().wait()

    simulated, models, hospitals = federation(count, 4, in_peace)
    assert bits(models) == bits(simulated)
    assert [hospital.refused for hospital in hospitals] == [[]] * count


def test_a_relay_that_is_killed_again_and_again_changes_no_bit(federation, relay, bits):
    kills = 0

    async def killed(hospitals):
        nonlocal kills
        for rounds in (1, 6, 3):
            async with relay.start() as process:
                while not all(state.is_up for hospital in hospitals for state in hospital.states.values()):
                    await asyncio.sleep(0.01)
                begun = hospitals[0].service.progress.round_index
                while hospitals[0].service.progress.round_index < begun + rounds:
                    await asyncio.sleep(0.001)
                process.send_signal(signal.SIGKILL)
                await process.wait()
                kills += 1
        async with relay.start():
            await asyncio.Event().wait()

    simulated, models, hospitals = federation(2, 60, killed)
    assert bits(models) == bits(simulated)
    assert kills == 3
    assert all(state.streams == 4 for hospital in hospitals for state in hospital.states.values())
    assert [hospital.refused for hospital in hospitals] == [[]] * 2


# The process itself


async def enter(port, side):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    nonce = (await reader.readexactly(len(GREETING) + NONCE_BYTES))[len(GREETING) :]
    writer.write(knock(SECRET.encode(), nonce, Purpose.MEET, side, b"t" * 32).to_bytes())
    return reader, writer


def resident_bytes(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the process has gone")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from Linux's /proc")
def test_the_relay_s_memory_stays_where_it_is_while_one_side_takes_nothing(relay):
    """The sender offers 400 MB; what gets away is what sockets hold, and none of it grows the process."""

    async def flood(writer):
        sent = 0
        while sent < 400 * 10**6:
            writer.write(bytes(2**16))
            sent += 2**16
            await writer.drain()

    async def run():
        async with relay.start() as process:
            (reader, writer), (other, other_writer) = [await enter(relay.port, side) for side in (0, 1)]
            assert await reader.readuntil(Word.JOINED.value)
            assert await other.readuntil(Word.JOINED.value)
            before = resident_bytes(process.pid)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1.5):
                    await flood(writer)
            assert resident_bytes(process.pid) - before < 4 * 2**20
            for each in (writer, other_writer):
                each.transport.abort()
            await asyncio.sleep(0)

    asyncio.run(run())


def test_the_relay_stops_when_it_is_told_and_says_nothing_but_counts(relay, tmp_path):
    async def run():
        async with relay.start() as process:
            ends = [await enter(relay.port, side) for side in (0, 1)]
            assert await ends[0][0].readuntil(Word.JOINED.value)
            assert await ends[1][0].readuntil(Word.JOINED.value)
            ends[0][1].write(b"PHI-Mueller-Anna-19480307" * 100)
            await ends[1][0].readexactly(2500)
            process.send_signal(signal.SIGTERM)
            said = (await process.communicate())[1].decode().splitlines()
            for _, writer in ends:
                writer.transport.abort()
            await asyncio.sleep(0)
            return process.returncode, said

    status, said = asyncio.run(run())
    assert status == 128 + signal.SIGTERM
    assert said[0] == "joined pair 1 (group); 1 pairs joined, 0 guests waiting"
    assert re.match(r"parted pair 1 \(group\) after \d+ s, 0\.0 MB; 0 pairs joined, 0 guests waiting", said[1])
    assert len(said) == 3  # "Stopped. …"


# How a site says it


@pytest.fixture
def folders(tmp_path, relay):
    """Two sites without addresses, as people set them up; what stands in their site.toml beside."""

    def make(extra=f'[relay]\naddress = "{relay.address}"\nsecret = "{SECRET}"\n'):
        file = tmp_path / "fed.toml"
        new_federation(file, "Two", ("Parotid_L",), rounds=2, local_steps=2)
        for name in "ab":
            site = init_site(tmp_path / name, SiteSettings(name=name, data="data"))
            with (site.path / SETTINGS).open("a") as text:
                text.write(extra)
            add_site(file, read_card(site.path / CARD))
        return [SiteFolder(tmp_path / name) for name in "ab"], read_federation(file)

    return make


def ways(site, federation):
    limits = Limits({"weight": (torch.float32, (10,))}, {})
    return transport_of(site, federation, limits=limits, folder=site.path / "run", on_refusal=lambda who, error: None)


def test_sites_that_name_a_relay_in_their_settings_meet_there(folders, relay):
    async def run():
        sites, federation = folders()
        one, other = [ways(site, federation) for site in sites]
        async with relay.start():
            await one.start()
            await other.start()
            frame = build_frame({}, {"weight": torch.arange(10.0)})
            sending = asyncio.create_task(one.send("b", frame))
            async with asyncio.timeout(60):
                sender, received = await anext(other.receive())
                await sending
            assert (sender, bytes(received)) == ("a", frame.to_bytes())
            await one.close()
            await other.close()

    asyncio.run(run())


def test_without_relay_and_mailbox_there_is_no_way_between_two_that_only_dial_out(folders):
    sites, federation = folders("")
    with pytest.raises(ConfigurationError, match=r"neither relay nor mailbox, in site\.toml"):
        ways(sites[0], federation)


def test_a_secret_that_could_be_guessed_is_no_setting():
    with pytest.raises(ValueError, match="at least 32 characters"):
        SiteSettings(name="a", data="data", relay={"address": "relay.example:7490", "secret": "password"})


# A whole run

FEDERATION = """
title = "Two toy hospitals"
structures = ["Kidney_L", "Kidney_R", "Prostate"]
rounds = 1
local_steps = 2
pace = "lockstep"

"""


def test_two_hospitals_that_only_dial_out_end_with_one_table(toy_home, tmp_path, relay):
    study = (toy_home / "study.toml").read_text()
    file = tmp_path / "fed.toml"
    file.write_text(FEDERATION + study[study.index("[plan]") : study.index("[arms.")])
    for at, name in enumerate("AB", start=2):
        settings = SiteSettings(name=name, data=str(toy_home / "data" / name), status=own_address(f"127.0.0.{at}"))
        site = init_site(tmp_path / name, settings)
        with (site.path / SETTINGS).open("a") as text:
            text.write(f'[relay]\naddress = "{relay.address}"\nsecret = "{SECRET}"\n')
        add_site(file, read_card(site.path / CARD))
    federation = read_federation(file)

    async def run():
        sites = [SiteFolder(tmp_path / name) for name in "AB"]
        for site in sites:
            site.approve(federation)
        async with relay.start(), asyncio.timeout(240):
            return await asyncio.gather(*(SiteRun(site, federation, Unwatched()).run() for site in sites))

    tables = asyncio.run(run())
    assert tables[0].sites == tables[1].sites
    assert [site.result.cases for site in tables[0].sites] == [2, 2]
    assert not tables[0].absent
