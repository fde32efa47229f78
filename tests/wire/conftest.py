"""Messages of a small network, and frames put together by hand, bit by bit, without our own writer."""

import json

import pytest
import torch

from gossamer.gossip import Mass, Share
from gossamer.wire.messages import Envelope, ShareMessage


def hand_made_frame(document, body=b""):
    """Length, JSON, body: the safetensors format; ``document`` may be text that is no JSON at all."""
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    return len(text).to_bytes(8, "little") + text + body


@pytest.fixture(scope="session")
def hand_made():
    return hand_made_frame


@pytest.fixture(scope="session")
def envelope():
    return Envelope("0123456789abcdef" * 4, "Utrecht", "Köln (Süd)", 4)


@pytest.fixture(scope="session")
def share_message(envelope):
    """All that a share can have: a scalar, an empty tensor, several widths, rows of masses."""
    generator = torch.Generator().manual_seed(3)
    params = {
        "body": torch.randn(4, 3, generator=generator),
        "scale": torch.tensor(2.5),
        "empty": torch.empty(0, 3),
        "wide": torch.randn(2, generator=generator, dtype=torch.float64),
        "head.bias": torch.randn(3, generator=generator),
    }
    return ShareMessage(envelope, Share(params, Mass(12.0, {"head.bias": (12.0, 4.0, 0.0)})), 1)
