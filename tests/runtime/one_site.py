"""One site as a process of its own, to be killed: ``python one_site.py SETTINGS.json NAME``.

Its trainer is the noisy one of ``conftest.py``; settings hold each site's port, the certificates and the rounds.
"""

import asyncio
import json
import sys
from pathlib import Path

import torch

from conftest import Noisy, live, start  # this file's folder is the first on the path
from gossamer.atomic import write_atomically
from gossamer.transport.grpc_lines import Peer
from gossamer.transport.identity import read_certificate, read_identity


def in_digits(model):
    """A model to the bit, as text."""
    return {key: tensor.numpy().tobytes().hex() for key, tensor in model.items()}


async def run(settings, name):
    folder = Path(settings["folder"]) / name
    node = start(rounds=settings["rounds"], resend_after_s=3600.0)._sites[name].node
    peers = {
        peer: Peer(peer, read_certificate(said["certificate"], peer), said["address"])
        for peer, said in settings["sites"].items()
    }

    def finish(model):
        write_atomically(folder / "model", json.dumps(in_digits(model)))

    await live(node, Noisy(name), identity=read_identity(folder), peers=peers, folder=folder, on_finish=finish)


if __name__ == "__main__":
    torch.set_num_threads(1)
    asyncio.run(run(json.loads(Path(sys.argv[1]).read_text()), sys.argv[2]))
