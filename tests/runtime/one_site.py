"""One site as a process of its own, to be killed: ``python one_site.py SETTINGS.json NAME``.

Its trainer is the noisy one of ``conftest.py``; settings hold each site's port, the certificates and the rounds.
"""

import asyncio
import json
import sys
from pathlib import Path

import torch

from conftest import Noisy, start  # this file's folder is the first on the path
from gossamer.atomic import write_atomically
from gossamer.runtime.journal import Journal
from gossamer.runtime.service import SiteService
from gossamer.transport.grpc_lines import GrpcTransport, Peer
from gossamer.transport.identity import new_tls_certificate, read_certificate, read_identity
from gossamer.transport.line_messages import Hello
from gossamer.wire.limits import Limits


def in_digits(model):
    """A model to the bit, as text."""
    return {key: tensor.numpy().tobytes().hex() for key, tensor in model.items()}


async def live(settings, name):
    folder = Path(settings["folder"]) / name
    node = start(rounds=settings["rounds"], resend_after_s=3600.0)._sites[name].node
    snapshot = node.snapshot()
    peers = {
        peer: Peer(peer, read_certificate(said["certificate"], peer), said["address"])
        for peer, said in settings["sites"].items()
    }
    tls = new_tls_certificate(read_identity(folder))
    me = peers.pop(name)
    transport = GrpcTransport(
        me,
        peers,
        certificate=lambda: tls,
        hello=Hello(protocols=(1,), release="test", federation=node.agreement.federation),
        limits=Limits.of(snapshot.state.params, snapshot.state.own),
        folder=folder / "incoming",
        listen=me.address,
    )
    await transport.start()

    def finish(model):
        write_atomically(folder / "model", json.dumps(in_digits(model)))

    service = SiteService(node, Noisy(name), transport, Journal(folder), local_steps=2)
    await service.run(600.0, finish)


if __name__ == "__main__":
    torch.set_num_threads(1)
    asyncio.run(live(json.loads(Path(sys.argv[1]).read_text()), sys.argv[2]))
