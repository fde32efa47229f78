"""A greeting without a line: would a peer speak with this site? Asked by ``gossamer check``.

It goes the way that lines go (gRPC, mutual TLS, the peer's identity alone is trusted) and changes nothing at the peer:
a greeting that says it is a probe is answered and hung up, whatever stream there is.
"""

from __future__ import annotations

from itertools import islice

import grpc

from gossamer.errors import NoAnswerError, NotAcceptedError
from gossamer.transport.grpc_lines import METHOD, Peer, channel_to
from gossamer.transport.identity import TlsCertificate
from gossamer.transport.line import misfit, refusal_told
from gossamer.transport.line_messages import Hello, LineMessage, No, from_bytes, to_bytes

A_GREETING_AND_A_NO = 2
"""More is not said to a probe; whoever says more is not listened to."""


def greet(peer: Peer, shown: TlsCertificate, hello: Hello, patience_s: float) -> Hello:
    """Exchange greetings with a peer and hang up.

    Args:
        peer: who must be there; it has an address.
        shown: this site's certificate.
        hello: what this site would say first.
        patience_s: how long to wait for all of it.

    Returns:
        What the peer says.

    Raises:
        OtherFederationError: it has approved another federation file.
        OtherProtocolError: no protocol in common.
        LineRefusedError: it does not speak with this site for another reason.
        NotAcceptedError: it does not take this site for a member.
        NoAnswerError: nothing was said, or something else than a greeting.
        WireError: what it says is no message of a line.
    """
    heard = _heard(peer, shown, hello.model_copy(update={"probe": True}), patience_s)
    said = next((message for message in heard if isinstance(message, Hello)), None)
    if said is not None and (refusal := misfit(hello, said)) is not None:
        raise refusal
    for message in heard:
        if isinstance(message, No):
            raise refusal_told(message, peer.name)
    if said is None:
        raise NoAnswerError(
            "wanted a greeting; found a connection that was closed without one; ask that site to look at what its "
            "service says"
        )
    return said


def _heard(peer: Peer, shown: TlsCertificate, hello: Hello, patience_s: float) -> list[LineMessage]:
    assert peer.address is not None
    credentials, options = channel_to(peer, shown)
    heard: list[LineMessage] = []
    with grpc.secure_channel(peer.address, credentials, options) as channel:
        speak: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(METHOD)
        call = speak(iter([to_bytes(hello)]), timeout=patience_s)
        try:
            for data in islice(call, A_GREETING_AND_A_NO):
                heard.append(from_bytes(data))  # what came before a break is kept
        except grpc.RpcError as error:
            if not heard:
                raise _refusal(call.code(), call.details()) from error
    return heard


def _refusal(status: grpc.StatusCode, details: str) -> NoAnswerError | NotAcceptedError:
    if status is grpc.StatusCode.UNAUTHENTICATED:
        return NotAcceptedError(
            f"wanted to be taken for a member; found: {details}; compare the site ids in both rosters, and approve the "
            "same federation file at both sites"
        )
    said = f"{status.name.lower().replace('_', ' ')} ({details})"
    return NoAnswerError(
        f"wanted a greeting; found: {said}; ask that site whether its service hangs, or whether a proxy stands between"
    )
