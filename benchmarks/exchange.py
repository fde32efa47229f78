"""What a whole exchange between two hospitals costs beside the bytes on the line.

The floor is what nobody can do without: a bare gRPC stream over mutual TLS between two processes on loopback that
carries a model both ways at once, in pieces of 1 MiB, and throws it away. The exchange is that of two real sites, each
a process of its own: from the end of a local phase to the beginning of the next. In between a site composes and encodes
its share, hashes it, writes its journal, sends while it receives, checks hash, shape and numbers of what comes, merges,
writes its journal again, hands out a receipt, and notes in its audit log what left and came.

Both arms wait on a line in the same run and take turns; the ratio is of medians.

Run: python -m benchmarks.exchange [--quick] [--json FILE] [--repeats 9] [--moments] [--millions 30]
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import psutil
import torch
from faults.ports import own_port

from benchmarks.figures import Figure, conclude, options_parser
from gossamer.atomic import write_atomically, write_large_atomically
from gossamer.gossip import Mass, Params, Share, SiteId, TrainerState, TrainResult, build_gossip
from gossamer.gossip.merge import merge
from gossamer.node.agreement import Agreement
from gossamer.node.kinds import make_node
from gossamer.parent import end_with_pipe
from gossamer.runtime.audit import AuditLog
from gossamer.runtime.journal import Journal
from gossamer.runtime.service import SiteService
from gossamer.transport.grpc_lines import GrpcTransport, Peer, channel_to
from gossamer.transport.identity import (
    new_identity,
    new_tls_certificate,
    read_certificate,
    read_identity,
    write_identity,
)
from gossamer.transport.line_messages import CHUNK_BYTES, Hello
from gossamer.wire.codec import decode, encode
from gossamer.wire.limits import Limits
from gossamer.wire.messages import Envelope, ShareMessage

REPOSITORY = Path(__file__).parents[1]
SITES = ("A", "B")
FEDERATION = "0" * 64
METHOD = "/floor.Line/Carry"
READY = "ready"


@dataclass(frozen=True)
class Setting:
    """What all processes of one run are told.

    Attributes:
        folder: with a folder for each site.
        ports: by process.
        certificates: identities, by site.
        rounds: exchanges of the two sites.
        millions: of parameters, about.
        moments: whether the trainer has moments to keep, as AdamW has.
        threads: of PyTorch, in each process.
        pieces: of 1 MiB, in which the model goes over the bare stream.
    """

    folder: str
    ports: dict[str, int]
    certificates: dict[str, str]
    rounds: int
    millions: float
    moments: bool
    threads: int
    pieces: int

    def peer(self, site: str, process: str | None = None) -> Peer:
        """A site as the roster has it."""
        address = f"127.0.0.1:{self.ports[process or site]}"
        return Peer(SiteId(site), read_certificate(self.certificates[site], site), address)


def main() -> None:
    """Run both arms by turns, and the parts of an exchange by themselves."""
    parser = options_parser(__doc__)
    parser.add_argument("--repeats", type=int, default=9, help="exchanges of each arm, by turns")
    parser.add_argument("--moments", action="store_true", help="the trainer keeps AdamW's moments too")
    parser.add_argument("--millions", type=float, default=30.0, help="of parameters")
    parser.add_argument("--process", choices=PROCESSES, help=argparse.SUPPRESS)
    parser.add_argument("--setting", help=argparse.SUPPRESS)
    parser.add_argument("--parent", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.process:
        end_with_pipe(options.parent)
        setting = Setting(**json.loads(Path(options.setting).read_text()))
        torch.set_num_threads(setting.threads)
        PROCESSES[options.process](options.process, setting)
        return
    torch.set_num_threads(options.threads)
    millions = 1.9 if options.quick else options.millions
    for part, seconds in parts(millions, 1 if options.quick else 7).items():
        print(f"{part:40}{seconds * 1000:8.1f} ms")
    floor, exchange = by_turns(2 if options.quick else options.repeats, millions, options)
    for name, turns in (("bare stream both ways", floor), ("whole exchange", exchange)):
        times = [turn.wall_s * 1000 for turn in turns]
        cores = statistics.median(turn.cpu_s for turn in turns) * 1000
        middle, span = statistics.median(times), f"{min(times):.1f} to {max(times):.1f} in {len(times)}"
        print(f"{name:40}{middle:8.1f} ms, {span}; {cores:.0f} ms of a core in both processes together")
    ratio = statistics.median(turn.wall_s for turn in exchange) / statistics.median(turn.wall_s for turn in floor)
    conclude([Figure("exchange between two sites to the bare stream both ways: time", ratio, 2.0)], options)


@dataclass(frozen=True)
class Turn:
    """What one turn of an arm took.

    Attributes:
        wall_s: from the first beginning to the last end.
        cpu_s: of cores, in all its processes.
    """

    wall_s: float
    cpu_s: float


def by_turns(repeats: int, millions: float, options: argparse.Namespace) -> tuple[list[Turn], list[Turn]]:
    """What the bare stream and the exchange took; the first of each does not count."""
    with tempfile.TemporaryDirectory(dir=REPOSITORY) as folder:  # a real disk: /tmp may be memory
        setting = write_setting(Path(folder), repeats, millions, options)
        with ExitStack() as running:
            answering, caller, *sites = [running.enter_context(Process(name, setting)) for name in PROCESSES]
            for each in (answering, caller, *sites):
                each.hear()  # ready
            turns = [(turn([caller], [answering]), turn(sites)) for _ in range(repeats + 1)]
    return [floor for floor, _ in turns[1:]], [exchange for _, exchange in turns[1:]]


def turn(told: Sequence[Process], others: Sequence[Process] = ()) -> Turn:
    """Let processes begin together, and wait for the last."""
    before_s = sum(each.cpu_s() for each in (*told, *others))
    for each in told:
        each.say("go")
    times = [json.loads(each.hear()) for each in told]
    wall_s = max(end for _, end in times) - min(begin for begin, _ in times)
    return Turn(wall_s, sum(each.cpu_s() for each in (*told, *others)) - before_s)


class Process:
    """A child that does something each time it is told."""

    def __init__(self, name: str, setting: Path) -> None:
        theirs, self._alive = os.pipe()
        command = [sys.executable, "-m", "benchmarks.exchange", "--process", name, "--setting", str(setting)]
        self._child = subprocess.Popen(
            [*command, "--parent", str(theirs)],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=(theirs,),
        )
        os.close(theirs)

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.kill()
        self._child.communicate()
        os.close(self._alive)

    def cpu_s(self) -> float:
        """Seconds of cores that it has had so far."""
        times = psutil.Process(self._child.pid).cpu_times()
        return times.user + times.system

    def say(self, line: str) -> None:
        """Tell it something."""
        assert self._child.stdin is not None
        print(line, file=self._child.stdin, flush=True)

    def hear(self) -> str:
        """What it says next."""
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            sys.exit("a process of the benchmark ended before its time")
        return line


def write_setting(folder: Path, repeats: int, millions: float, options: argparse.Namespace) -> Path:
    """Make keys, folders and free ports."""
    certificates = {}
    for site in SITES:
        (folder / site).mkdir()
        identity = new_identity(site)
        write_identity(identity, folder / site)
        certificates[site] = identity.pem
    setting = Setting(
        folder=str(folder),
        ports={process: own_port() for process in (*SITES, "floor")},
        certificates=certificates,
        rounds=repeats + 2,
        millions=millions,
        moments=options.moments,
        threads=max(1, options.threads // 2),  # two sites share them
        pieces=-(-sum(tensor.nbytes for tensor in model(0, millions).values()) // CHUNK_BYTES),
    )
    path = folder / "setting.json"
    write_atomically(path, json.dumps(vars(setting)))
    return path


def model(seed: int, millions: float) -> Params:
    """Parameters in 92 tensors: few large ones, many small ones."""
    generator = torch.Generator().manual_seed(seed)
    widths = [48, 96, *[192] * 6, 256, 256, *[320] * 4, 256, 256, *[192] * 6]
    widths = [round(width * (millions / 29.75) ** 0.5) for width in widths]  # as they stand here: 29.75 M
    made = {}
    for block, (begin, end) in enumerate(zip([1, *widths], [*widths, widths[0]], strict=True)):
        made[f"block.{block:02}.conv.weight"] = torch.randn(end, begin, 3, 3, 3, generator=generator)
        for name in ("conv.bias", "norm.weight", "norm.bias"):
            made[f"block.{block:02}.{name}"] = torch.randn(end, generator=generator)
    return made


def run_site(name: str, setting: Setting) -> None:
    """One hospital: a node that gossips with the other, and a trainer that waits to be told."""

    async def run() -> None:
        folder = Path(setting.folder) / name
        identity = read_identity(folder)
        tls = new_tls_certificate(identity)
        algorithm, topology = build_gossip("sweep", [SiteId(site) for site in SITES], 0)
        agreement = Agreement(FEDERATION, algorithm, topology, setting.rounds)
        node = make_node(SiteId(name), agreement, Mass(10.0), model(0, setting.millions))
        state = node.snapshot().state
        transport = GrpcTransport(
            setting.peer(name),
            {SiteId(site): setting.peer(site) for site in SITES if site != name},
            certificate=lambda: tls,
            hello=Hello(protocols=(1,), release="benchmark", federation=FEDERATION),
            limits=Limits.of(state.params, state.own),
            folder=folder / "incoming",
            listen=setting.peer(name).address,
        )
        await transport.start()
        while not all(way.is_up for way in transport.states.values()):
            await asyncio.sleep(0.05)
        trainer = Told(setting.moments)
        audit = AuditLog(folder, identity)
        service = SiteService(node, trainer, transport, Journal(folder), local_steps=1, audit=audit)
        await service.run(lambda _: None)

    asyncio.run(run())


@dataclass
class Told:
    """A local phase that ends when it is told to, with other parameters than it began with."""

    has_moments: bool
    moments: TrainerState = field(default_factory=TrainerState)
    began_s: float | None = None

    def fit(self, params: Params, *, steps: int, round_index: int, teachers: Sequence[Params] = ()) -> TrainResult:
        """The exchange that began at the end of the last phase is over."""
        now_s = time.monotonic()
        print(READY if self.began_s is None else json.dumps([self.began_s, now_s]), flush=True)
        fresh = {name: tensor * 0.999 for name, tensor in params.items()}
        if self.has_moments:
            self.moments = TrainerState(
                {f"{moment}.{name}": tensor * 0.1 for moment in ("mean", "square") for name, tensor in params.items()}
            )
        sys.stdin.readline()
        self.began_s = time.monotonic()
        return TrainResult(fresh, steps, steps, 0.0)

    def state(self) -> TrainerState:
        """Empty, or twice the model."""
        return self.moments

    def restore(self, state: TrainerState) -> None:
        """Never asked for: sites begin with an empty folder."""
        assert not state.tensors


def run_floor(_name: str, setting: Setting) -> None:
    """The answering end of the bare stream."""

    async def carry(requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        sending = asyncio.create_task(write_all(context, setting.pieces))
        async for _ in requests:
            pass
        await sending

    async def run() -> None:
        identity = read_identity(Path(setting.folder) / "A")
        tls = new_tls_certificate(identity)
        server = grpc.aio.server()
        handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_stream_rpc_method_handler(carry)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("floor.Line", {"Carry": handler}),))
        roster = setting.certificates["B"].encode()
        credentials = grpc.ssl_server_credentials([(tls.key_pem, tls.chain_pem)], roster, require_client_auth=True)
        server.add_secure_port(f"127.0.0.1:{setting.ports['floor']}", credentials)
        await server.start()
        print(READY, flush=True)
        await server.wait_for_termination()

    asyncio.run(run())


def run_caller(_name: str, setting: Setting) -> None:
    """The dialling end of the bare stream."""

    async def run() -> None:
        floor = setting.peer("A", "floor")
        tls = new_tls_certificate(read_identity(Path(setting.folder) / "B"))
        credentials, options = channel_to(floor, tls)
        assert floor.address is not None
        async with grpc.aio.secure_channel(floor.address, credentials, options[-1:]) as channel:  # its name alone
            await channel.channel_ready()
            print(READY, flush=True)
            while await asyncio.to_thread(sys.stdin.readline):
                began_s = time.monotonic()
                call: Any = channel.stream_stream(METHOD)()
                sending = asyncio.create_task(write_all(call, setting.pieces, call.done_writing))
                async for _ in call:
                    pass
                await sending
                print(json.dumps([began_s, time.monotonic()]), flush=True)

    asyncio.run(run())


async def write_all(call: Any, pieces: int, end: Callable[[], Any] | None = None) -> None:
    """As many bytes as the model has."""
    piece = bytes(CHUNK_BYTES)
    for _ in range(pieces):
        await call.write(piece)
    if end is not None:
        await end()


PROCESSES: dict[str, Callable[[str, Setting], None]] = {
    "floor": run_floor,
    "caller": run_caller,
    "A": run_site,
    "B": run_site,
}


def parts(millions: float, times: int) -> dict[str, float]:
    """Seconds of each part of an exchange alone, in one process; the median of several."""
    mine, others = model(0, millions), model(1, millions)
    mass = Mass(1.0)
    message = ShareMessage(Envelope(FEDERATION, SiteId("A"), SiteId("B"), 0), Share(mine, mass))
    limits = Limits.of(mine, mass)
    content = memoryview(bytearray(encode(message).to_bytes()))
    with tempfile.TemporaryDirectory(dir=REPOSITORY) as folder:
        file = Path(folder) / "model"
        doings: dict[str, Callable[[], Any]] = {
            "encode": lambda: encode(message),
            "SHA-256": lambda: hashlib.sha256(content),
            "write, fsync, rename": lambda: write_large_atomically(file, encode(message).pieces()),
            "decode": lambda: decode(content, limits),
            "finite": lambda: all(tensor.sum().isfinite() for tensor in others.values()),
            "merge": lambda: merge([mine, others], [mass, mass], 0),
        }
        return {part: median_s(doing, times) for part, doing in doings.items()}


def median_s(once: Callable[[], Any], times: int) -> float:
    """Seconds of one of them."""
    seconds = []
    for _ in range(times + 1):
        began_s = time.perf_counter()
        once()
        seconds.append(time.perf_counter() - began_s)
    return statistics.median(seconds[1:])


if __name__ == "__main__":
    main()
