"""Real sites on loopback end with the bits of the simulation, whatever is killed on the way."""

import asyncio
import random
from types import MappingProxyType

import pytest
from faults.ports import own_port

from gossamer.errors import DiskFullError, ScheduleError
from gossamer.node.kinds import make_node
from gossamer.runtime.journal import Journal
from gossamer.runtime.service import SiteService
from gossamer.transport.base import Transport
from gossamer.transport.grpc_lines import Peer
from gossamer.transport.identity import new_identity
from gossamer.wire.codec import encode
from gossamer.wire.messages import Notice

ADDRESSES = {"A": "127.0.0.1", "B": "127.0.0.2", "C": "127.0.0.3", "D": "127.0.0.4"}
OUTLASTING_CUTS = 30
"""Rounds that take longer than the first cuts are away, on a fast machine too."""

IDENTITIES = {name: new_identity(name) for name in ADDRESSES}


class Hospital:
    """Everything of one site that outlives its process: identity, folder, address."""

    def __init__(self, name, node, trainer, *, folder, ports, live):
        self.name, self.node, self.new_trainer, self.live = name, node, trainer, live
        self.folder, self.ports = folder / name, ports
        self.folder.mkdir()
        self.starts = 0
        self.model = asyncio.get_running_loop().create_future()

    async def run(self):
        """One life of its process."""
        self.starts += 1
        state = self.node.snapshot().state
        peers = {
            name: Peer(name, IDENTITIES[name].certificate, f"{address}:{self.ports[name]}")
            for name, address in ADDRESSES.items()
        }
        fresh = make_node(self.node.site, self.node.agreement, state.own, state.params)
        finish = id if self.model.done() else self.model.set_result
        await self.live(
            fresh,
            self.new_trainer(self.name),
            identity=IDENTITIES[self.name],
            peers=peers,
            folder=self.folder,
            on_finish=finish,
        )


@pytest.fixture
def hospitals(simulation, live_site, tmp_path):
    """The sites of a simulation as real ones."""

    def make(trainer, algorithm="sweep", rounds=4):
        sites = simulation(algorithm, rounds=rounds, trainer=trainer, resend_after_s=3600.0)._sites
        ports = {name: own_port(address) for name, address in ADDRESSES.items()}
        return [
            Hospital(name, site.node, trainer, folder=tmp_path, ports=ports, live=live_site)
            for name, site in sites.items()
        ]

    return make


@pytest.fixture
def simulated(simulation):
    """The models that a simulation of the same sites ends with."""

    def run(trainer, algorithm="sweep", rounds=4):
        return simulation(algorithm, rounds=rounds, trainer=trainer, resend_after_s=3600.0).run().params

    return run


async def models_of(hospitals, life):
    """Let all sites live until each has its model: one that has finished may still be asked for a receipt."""
    lives = [asyncio.create_task(life(hospital)) for hospital in hospitals]
    try:
        async with asyncio.timeout(240):
            models = await asyncio.gather(*(hospital.model for hospital in hospitals))
    finally:
        for each in lives:
            each.cancel()
        await asyncio.gather(*lives, return_exceptions=True)
    return {hospital.name: model for hospital, model in zip(hospitals, models, strict=True)}


async def with_cuts(hospital, chance):
    """Cut the site's power now and then; it goes on from its disk."""
    for _ in range(3):
        life = asyncio.create_task(hospital.run())
        await asyncio.wait({life}, timeout=chance.uniform(0.02, 0.6))
        life.cancel()
        await asyncio.wait({life})  # unlike awaiting it, this ends when it is itself cancelled
    await hospital.run()


@pytest.mark.parametrize("algorithm", ["sweep", "pushsum", "fedavg"])
def test_real_sites_end_with_the_bits_of_the_simulation(hospitals, simulated, trainer, bits, algorithm):
    async def run():
        return await models_of(hospitals(trainer, algorithm), Hospital.run)

    assert bits(asyncio.run(run())) == bits(simulated(trainer, algorithm))


@pytest.mark.parametrize("seed", range(3))
def test_power_cuts_at_any_moment_change_no_bit(hospitals, simulated, trainer, bits, seed):
    async def run():
        chance = random.Random(seed)
        sites = hospitals(trainer, rounds=OUTLASTING_CUTS)
        models = await models_of(sites, lambda site: with_cuts(site, chance))
        assert sum(site.starts for site in sites) > 4
        return models

    assert bits(asyncio.run(run())) == bits(simulated(trainer, rounds=OUTLASTING_CUTS))


def test_training_that_fails_ends_the_site_with_its_reason(hospitals, trainer):
    class Failing(trainer):
        def fit(self, *arguments, **rest):
            raise ScheduleError("the loss is no longer finite")

    async def run():
        [first, *_] = hospitals(Failing)
        async with asyncio.timeout(60):
            await first.run()

    with pytest.raises(ScheduleError, match="no longer finite"):
        asyncio.run(run())


def test_a_disk_that_keeps_nothing_ends_the_site_before_it_promises(hospitals, trainer, monkeypatch):
    def fail(_journal, _kept):
        raise DiskFullError("wanted to write state-0; found no room")

    monkeypatch.setattr(Journal, "write", fail)

    async def run():
        [first, *_] = hospitals(trainer)
        async with asyncio.timeout(60):
            await first.run()

    with pytest.raises(DiskFullError):
        asyncio.run(run())


class Sink(Transport):
    """Takes whatever is sent, and delivers what it was given."""

    states = MappingProxyType({})

    def __init__(self, *received):
        super().__init__()
        self.received = received

    async def start(self):
        pass

    async def send(self, to, frame):
        pass

    async def receive(self):
        for each in self.received:
            yield each
        await asyncio.Event().wait()

    def expect(self, limits):
        pass

    async def close(self):
        pass


def test_a_notice_that_cannot_be_kept_ends_the_site_instead_of_its_hearing(simulation, trainer, tmp_path):
    """Else it would go on, called healthy, and hear nobody any more."""

    async def fail(_sender, _notice):
        raise DiskFullError("wanted to write a notice; found no room")

    async def run():
        node = simulation(trainer=trainer)._sites["A"].node
        service = SiteService(
            node,
            trainer("A"),
            Sink(("B", encode(Notice("f" * 64, "join", "B", b"{}", b"signature")))),
            Journal(tmp_path),
            local_steps=2,
            on_notice=fail,
        )
        async with asyncio.timeout(60):
            await service.run(id)

    with pytest.raises(DiskFullError, match="a notice"):
        asyncio.run(run())


def test_an_audit_log_that_cannot_be_written_ends_the_site(simulation, trainer, tmp_path):
    class Full:
        def note(self, _entry):
            raise DiskFullError("wanted to write audit.jsonl; found no room")

    async def run():
        node = simulation(trainer=trainer)._sites["A"].node
        service = SiteService(node, trainer("A"), Sink(), Journal(tmp_path), local_steps=2, audit=Full())
        async with asyncio.timeout(60):
            await service.run(id)

    with pytest.raises(DiskFullError, match="audit"):
        asyncio.run(run())


def test_a_record_that_the_disk_has_damaged_is_told(simulation, trainer, tmp_path):
    def records():
        return sorted(tmp_path.glob("state-*"))

    async def run(tell):
        node = simulation(trainer=trainer)._sites["A"].node
        service = SiteService(node, trainer("A"), Sink(), Journal(tmp_path), local_steps=2, tell=tell)
        life = asyncio.create_task(service.run(id))
        async with asyncio.timeout(60):
            while len(records()) < 2:
                await asyncio.sleep(0.01)
        life.cancel()
        await asyncio.wait({life})

    told = []
    asyncio.run(run(told.append))
    assert not told
    content = bytearray(records()[0].read_bytes())
    content[-1] ^= 1
    records()[0].write_bytes(content)
    asyncio.run(run(told.append))
    assert len(told) == 1
    assert "look after its disk" in told[0]
