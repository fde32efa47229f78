"""A greeting tells what a line would meet, over real TLS on loopback, and disturbs no line."""

import asyncio
import socket

import pytest
from faults.ports import own_port

from gossamer.errors import LineRefusedError, NoAnswerError, NotAcceptedError, OtherFederationError, OtherProtocolError
from gossamer.transport import greeting
from gossamer.transport.greeting import greet
from gossamer.transport.grpc_lines import GrpcTransport, Peer
from gossamer.transport.identity import new_identity, new_tls_certificate
from gossamer.transport.line_messages import Hello, No
from gossamer.wire.limits import Limits

HELLO = Hello(protocols=(1,), release="0.1.0", federation="ab" * 32)
IDENTITIES = {name: new_identity(name) for name in ("a", "b", "outsider")}
TLS = {name: new_tls_certificate(identity) for name, identity in IDENTITIES.items()}
PATIENCE_S = 30.0


def peer_of(name, port=None):
    return Peer(name, IDENTITIES[name].certificate, f"127.0.0.1:{port}" if port else None)


class Site(GrpcTransport):
    """The site b, who knows a."""

    def __init__(self, folder, hello=HELLO):
        self.refused = []
        super().__init__(
            peer_of("b"),
            {"a": peer_of("a")},
            certificate=lambda: TLS["b"],
            hello=hello,
            limits=Limits({}, {}),
            folder=folder,
            listen="127.0.0.1:0",
            on_refusal=lambda who, reason: self.refused.append((who, reason)),
        )


def greeted(folder, hello=HELLO, said=HELLO, tls=TLS["a"], times=1):
    """What a hears of b, and b afterwards."""

    async def run():
        site = Site(folder, hello)
        port = await site.start()
        try:
            for _ in range(times):
                heard = await asyncio.to_thread(greet, peer_of("b", port), tls, said, PATIENCE_S)
            return heard, site
        finally:
            await site.close()

    return asyncio.run(run())


def test_the_peer_s_greeting_is_heard_as_often_as_one_asks_and_no_line_comes_up(tmp_path):
    theirs = HELLO.model_copy(update={"release": "0.2.0"})
    heard, site = greeted(tmp_path, theirs, times=3)
    assert heard == theirs
    assert site.lines["a"].state.streams == 0
    assert site.refused == []


@pytest.mark.parametrize(
    ("theirs", "error"),
    [
        ({"protocols": (2,)}, OtherProtocolError),
        ({"federation": "cd" * 32}, OtherFederationError),
    ],
)
def test_a_refusal_arrives_with_its_reason(tmp_path, theirs, error):
    with pytest.raises(error, match=r"found .* there"):
        greeted(tmp_path, HELLO.model_copy(update=theirs))


def test_a_stranger_is_not_greeted(tmp_path):
    with pytest.raises((NoAnswerError, NotAcceptedError)):
        greeted(tmp_path, tls=TLS["outsider"])


def test_a_port_where_nobody_is_gives_no_answer():
    with pytest.raises(NoAnswerError, match="unavailable"):
        greet(peer_of("b", own_port()), TLS["a"], HELLO, PATIENCE_S)


def test_a_peer_that_hangs_is_waited_for_no_longer_than_said():
    with socket.create_server(("127.0.0.1", 0)) as door, pytest.raises(NoAnswerError, match="deadline exceeded"):
        greet(peer_of("b", door.getsockname()[1]), TLS["a"], HELLO, 1.0)


@pytest.mark.parametrize(
    ("heard", "error"),
    [([], NoAnswerError), ([No(code="GOS-504", reason="not today")], LineRefusedError)],
    ids=["nothing", "a no for another reason"],
)
def test_without_a_greeting_nothing_is_well(monkeypatch, heard, error):
    monkeypatch.setattr(greeting, "_heard", lambda *_args: heard)
    with pytest.raises(error):
        greet(peer_of("b", 1), TLS["a"], HELLO, PATIENCE_S)
