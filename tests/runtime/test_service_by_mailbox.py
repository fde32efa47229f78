"""Four sites that never reach each other, only a folder, end with the bits of the simulation."""

import asyncio
import random
from contextlib import suppress

import pytest

from gossamer.node.kinds import make_node
from gossamer.runtime.journal import Journal
from gossamer.runtime.service import SiteService
from gossamer.transport import mailbox_line
from gossamer.transport.identity import new_identity
from gossamer.transport.line_messages import Hello
from gossamer.transport.mailbox import MailboxTransport
from gossamer.transport.store_address import store_opener
from gossamer.wire.limits import Limits

IDENTITIES = {name: new_identity(name) for name in "ABCD"}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(mailbox_line, "LOOK_S", (0.005, 0.05))


class Hospital:
    """Everything of one site that outlives its process: identity, folder, the mailbox's address."""

    def __init__(self, node, trainer, home):
        self.node, self.new_trainer = node, trainer
        self.folder = home / node.site
        self.folder.mkdir()
        self.open_store = store_opener((home / "shared").as_uri())
        self.refused = []
        self.starts = 0
        self.model = asyncio.get_running_loop().create_future()

    async def run(self):
        """One life of its process."""
        self.starts += 1
        state, site = self.node.snapshot().state, self.node.site
        transport = MailboxTransport(
            IDENTITIES[site],
            {name: identity.certificate for name, identity in IDENTITIES.items() if name != site},
            open_store=self.open_store,
            hello=Hello(protocols=(1,), release="test", federation=self.node.agreement.federation),
            limits=Limits.of(state.params, state.own),
            folder=self.folder / "incoming",
            on_refusal=lambda who, error: self.refused.append((who, str(error))),
        )
        node = make_node(site, self.node.agreement, state.own, state.params)
        service = SiteService(node, self.new_trainer(site), transport, Journal(self.folder), local_steps=2)
        transport.on_peer_started = service.peer_started
        await transport.start()
        try:
            await service.run(id if self.model.done() else self.model.set_result)
        finally:
            await transport.close()


async def with_cuts(hospital, chance):
    """Cut the site's power now and then; it goes on from its disk."""
    for _ in range(3):
        life = asyncio.create_task(hospital.run())
        await asyncio.wait({life}, timeout=chance.uniform(0.02, 0.8))
        life.cancel()
        with suppress(asyncio.CancelledError):
            await life
    await hospital.run()


@pytest.fixture
def federation(simulation, noisy, tmp_path):
    """The models of the simulation, and those of its sites as real ones by mailbox."""

    def sites():
        return simulation("sweep", rounds=4, trainer=noisy, resend_after_s=3600.0)

    async def by_mailbox(life):
        (tmp_path / "shared").mkdir()
        hospitals = [Hospital(site.node, noisy, tmp_path) for site in sites()._sites.values()]
        lives = [asyncio.create_task(life(hospital)) for hospital in hospitals]
        try:
            async with asyncio.timeout(240):
                models = await asyncio.gather(*(hospital.model for hospital in hospitals))
        finally:
            for each in lives:
                each.cancel()
            await asyncio.gather(*lives, return_exceptions=True)
        return {hospital.node.site: model for hospital, model in zip(hospitals, models, strict=True)}, hospitals

    return lambda life: (sites().run().params, *asyncio.run(by_mailbox(life)))


def test_sites_that_meet_in_a_folder_end_with_the_bits_of_the_simulation(federation, bits):
    simulated, models, hospitals = federation(Hospital.run)
    assert bits(models) == bits(simulated)
    assert [hospital.refused for hospital in hospitals] == [[]] * 4


@pytest.mark.parametrize("seed", range(2))
def test_power_cuts_at_any_moment_change_no_bit(federation, bits, seed):
    chance = random.Random(seed)
    simulated, models, hospitals = federation(lambda hospital: with_cuts(hospital, chance))
    assert sum(hospital.starts for hospital in hospitals) > 4
    assert bits(models) == bits(simulated)
