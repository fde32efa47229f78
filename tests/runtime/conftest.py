"""Small federations to simulate, and trainers that show it when a site forgets something.

``Plain`` depends on parameters, site and round alone. ``Noisy`` depends also on a seed and on a state of its own, which
a power cut takes back to what is on the disk. ``Moody`` is never the same twice, as a graphics card may be: it shows a
share that went out before it was on the disk, which a trainer that repeats itself would hide.
"""

import itertools
import json
import os
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest
import torch

from gossamer.gossip import Mass, SiteId, TrainerState, TrainResult, build_gossip
from gossamer.node.agreement import Agreement
from gossamer.node.kinds import make_node
from gossamer.runtime.journal import Journal
from gossamer.runtime.network import Line, Network
from gossamer.runtime.service import SiteService
from gossamer.runtime.simulation import Simulation
from gossamer.segment.model_file import read_model
from gossamer.transport.grpc_lines import GrpcTransport
from gossamer.transport.identity import new_tls_certificate
from gossamer.transport.line_messages import Hello
from gossamer.wire.limits import Limits

FEDERATION = "a" * 64

FEDERATIONS = [
    ("sweep", "hypercube", 4), ("sweep", "base", 3), ("sweep", "base", 5), ("sweep", "mesh", 3),
    ("rolling-sweep", "base", 3), ("pushsum", "exponential", 4), ("pushsum", "epidemic", 5),
    ("pushsum", "matching", 3), ("dpsgd", "ring", 4), ("fedavg", "star", 4),
]  # fmt: skip


class Plain:
    """Every fit gives the same bits for the same parameters, site and round."""

    def __init__(self, site):
        self.site, self.fits = site, 0

    def fit(self, params, *, steps, round_index, teachers=()):
        self.fits += 1
        push = steps * self.noise(round_index)
        return TrainResult(
            {name: tensor * 0.875 + push[0] for name, tensor in params.items()}, steps, 2 * steps, float(push[1])
        )

    def noise(self, round_index):
        return self._drawn(round_index)

    def _drawn(self, *what):
        """Two numbers that follow from the site and ``what``."""
        seed = zlib.crc32(repr((self.site, *what)).encode())
        return torch.randn(2, generator=torch.Generator().manual_seed(seed))

    def state(self):
        return TrainerState()

    def restore(self, state):
        assert state.values == {}


class Noisy(Plain):
    """Each fit adds noise that follows from the seed, the round and all fits before it that were kept."""

    def __init__(self, site, seed=0):
        super().__init__(site)
        self.seed, self.walk, self.phases = seed, torch.zeros(2), 0

    def noise(self, round_index):
        self.walk = 0.9 * self.walk + self._drawn(self.seed, round_index, self.phases)
        self.phases += 1
        return self.walk

    def state(self):
        return TrainerState({"walk": self.walk}, {"phases": self.phases})

    def restore(self, state):
        self.walk, self.phases = state.tensors["walk"], state.values["phases"]


class Moody(Plain):
    """Never the same twice: nothing takes ``fits`` back."""

    def noise(self, round_index):
        return self._drawn(round_index, self.fits)


def start(
    algorithm="sweep", topology=None, count=4, *, rounds=3, trainer=Noisy, size=4, resend_after_s=30.0, **simulation
):
    """A simulation at its beginning: sites A, B, ... with 1, 2, ... cases, steps of a second, lines of a second."""
    sites = [SiteId(f"{chr(65 + k % 26)}{k // 26 or ''}") for k in range(count)]
    chosen, schedule = build_gossip(algorithm, sites, 11, topology=topology)
    agreement = Agreement(FEDERATION, chosen, schedule, rounds, resend_after_s)
    params = {"body": torch.linspace(-1, 1, size), "head": torch.ones(2, 3)}
    nodes = [
        make_node(site, agreement, Mass(1.0 + k, {"head": (1.0 + k, float(k % 2))}), params)
        for k, site in enumerate(sites)
    ]
    settings = {"local_steps": 2, "step_s": dict.fromkeys(sites, 1.0), "network": Network(Line(delay_s=1.0))}
    return Simulation(nodes, {site: trainer(site) for site in sites}, **(settings | simulation))


def bits_of(params):
    """Models by site, to the bit."""
    return {
        site: {name: tensor.numpy().tobytes() for name, tensor in model.items()}
        for site, model in sorted(params.items())
    }


def outcome_of(result):
    """All of a result, to the bit."""
    return bits_of(result.params), dict(result.bytes_sent), result.rounds, result.virtual_s, result.refusals


def run_with_reports(simulation, **settings):
    reports = []
    result = simulation.run(reports.append, **settings)
    return result, [(report.round_index, bits_of(report.params), dict(report.loss)) for report in reports]


async def live(node, trainer, *, identity, peers, folder, on_finish):
    """One life of a real site: until it is cancelled or fails.

    Args:
        node: at its beginning.
        trainer: local training.
        identity: the site's.
        peers: all sites as the roster has them, this one among them.
        folder: the site's own, it exists.
        on_finish: given the model.
    """
    others = dict(peers)
    me = others.pop(node.site)
    snapshot, tls = node.snapshot(), new_tls_certificate(identity)
    transport = GrpcTransport(
        me,
        others,
        certificate=lambda: tls,
        hello=Hello(protocols=(1,), release="test", federation=node.agreement.federation),
        limits=Limits.of(snapshot.state.params, snapshot.state.own),
        folder=folder / "incoming",
        listen=me.address,
    )
    service = SiteService(node, trainer, transport, Journal(folder), local_steps=2)
    transport.on_peer_started = service.peer_started
    try:
        await transport.start()
        await service.run(on_finish)
    finally:
        await transport.close()


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    """No test here cuts a machine's power: what a process wrote its successor reads, flushed or not."""
    monkeypatch.setattr("os.fsync", lambda _descriptor: None)


@pytest.fixture(scope="session")
def simulation():
    return start


@pytest.fixture(scope="session")
def live_site():
    return live


@pytest.fixture(scope="session")
def bits():
    return bits_of


@pytest.fixture(scope="session")
def outcome():
    return outcome_of


@pytest.fixture(scope="session")
def with_reports():
    return run_with_reports


@pytest.fixture(params=[Plain, Noisy], ids=["plain", "noisy"])
def trainer(request):
    return request.param


@pytest.fixture(scope="session")
def plain():
    return Plain


@pytest.fixture(scope="session")
def noisy():
    return Noisy


@pytest.fixture(scope="session")
def moody():
    return Moody


@pytest.fixture(params=FEDERATIONS, ids=lambda each: f"{each[0]}-{each[1]}-{each[2]}")
def federation(request):
    return request.param


@pytest.fixture(scope="session")
def every_cut():
    """Each place of a site at which the power can fail: during event n, after so many actions."""
    return lambda events, actions=4: itertools.product(range(events), range(actions))


SOURCES = Path(__file__).parents[2] / "src"
COMMAND = """
import os, signal, threading
def end_with_this_process():
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGKILL)
threading.Thread(target=end_with_this_process, daemon=True).start()
from gossamer.cli.main import main
main()
"""
"""Of this release and of the frozen one, which has no ``gossamer.parent``."""
LONGEST_S = 400


class Sites:
    """Processes of ``gossamer site run`` in the folders beside a federation file, with their sources."""

    def __init__(self, file):
        self.file, self.running = file, {}

    def start(self, name, release=SOURCES):
        folder = self.file.parent / name
        command = [sys.executable, "-c", COMMAND, "site", "run", str(self.file), "--folder", str(folder), "--json"]
        environment = {**os.environ, "PYTHONPATH": str(release), "OMP_NUM_THREADS": "1"}
        with (folder / "table.json").open("w") as table, (folder / "log.txt").open("a") as log:
            self.running[name] = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=table, stderr=log, env=environment
            )

    def kill_once_it_has_a_journal(self, name):
        folder = self.file.parent / name
        until_s = time.monotonic() + LONGEST_S
        while not list(folder.glob("runs/*/state-*.safetensors")):
            assert time.monotonic() < until_s, (folder / "log.txt").read_text()
            time.sleep(0.05)
        self.running[name].kill()
        self.running[name].communicate()

    def end(self, allowed=(0,)):
        until_s = time.monotonic() + LONGEST_S
        for name, process in self.running.items():
            status = process.wait(max(1.0, until_s - time.monotonic()))
            assert status in allowed, f"site {name}:\n{(self.file.parent / name / 'log.txt').read_text()}"
        return [json.loads((self.file.parent / name / "table.json").read_text()) for name in self.running]

    def model(self, name):
        (path,) = (self.file.parent / name).glob("runs/*/model.safetensors")
        return {key: tensor.numpy().tobytes() for key, tensor in read_model(path).params.items()}

    def close(self):
        for process in self.running.values():
            process.kill()
            process.communicate()


@pytest.fixture
def site_processes():
    """Starts sites; all end with the test."""
    all_sites = []

    def of(file):
        all_sites.append(Sites(file))
        return all_sites[-1]

    yield of
    for sites in all_sites:
        sites.close()
