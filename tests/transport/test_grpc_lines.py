"""Real mutual TLS on loopback: who gets in, who does not, and what is carried."""

import asyncio
import errno
import gc
from datetime import UTC, datetime, timedelta

import grpc
import pytest
import torch
from faults.ports import own_port

from gossamer.errors import DiskFullError, NotTlsError, PortClosedError
from gossamer.transport import grpc_lines, grpc_streams
from gossamer.transport.combined import CombinedTransport
from gossamer.transport.grpc_lines import METHOD, GrpcTransport, Peer
from gossamer.transport.identity import TlsCertificate, new_identity, new_tls_certificate, tls_name
from gossamer.transport.line_messages import Hello, No, from_bytes, to_bytes
from gossamer.wire.frame import build_frame
from gossamer.wire.limits import Limits

HELLO = Hello(protocols=(1,), release="0.1.0", federation="ab" * 32)
LIMITS = Limits({"weight": (torch.float32, (500_000,))}, {})
FRAME = build_frame({}, {"weight": torch.arange(500_000, dtype=torch.float32)})
NAMES = ("a", "b", "c")
IDENTITIES = {name: new_identity(name) for name in (*NAMES, "outsider")}
TLS = {name: new_tls_certificate(identity) for name, identity in IDENTITIES.items()}


class Site:
    """A transport, and the callers it sent away."""

    def __init__(
        self, name, folder, addresses, *, listen="127.0.0.1:0", tls=None, hello=HELLO, roster=NAMES, **options
    ):
        self.refused = []
        self.tls = tls or TLS[name]
        peers = {n: Peer(n, IDENTITIES[n].certificate, addresses.get(n)) for n in roster}
        me = peers.pop(name, Peer(name, IDENTITIES[name].certificate, None))
        self.transport = GrpcTransport(
            me,
            peers,
            certificate=lambda: self.tls,
            hello=hello,
            limits=LIMITS,
            folder=folder / name,
            listen=listen,
            on_refusal=self.note,
            **options,
        )

    def note(self, who, error):
        self.refused.append((who, error.code, str(error)))

    async def one(self):
        sender, frame = await anext(self.transport.receive())
        return sender, bytes(frame)


async def wait_for(condition, seconds=60.0):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


def test_dial_out_only_sites_give_and_take_on_one_stream(tmp_path):
    async def run():
        hub = Site("a", tmp_path, {})
        port = await hub.transport.start()
        others = [Site(name, tmp_path, {"a": f"127.0.0.1:{port}"}, listen=None) for name in ("b", "c")]
        for other in others:
            await other.transport.start()
        await asyncio.gather(*(hub.transport.send(name, FRAME) for name in ("b", "c")))
        assert [await other.one() for other in others] == [("a", FRAME.to_bytes())] * 2
        await asyncio.gather(*(other.transport.send("a", FRAME) for other in others))
        assert {await hub.one(), await hub.one()} == {("b", FRAME.to_bytes()), ("c", FRAME.to_bytes())}
        for site in (*others, hub):
            await site.transport.close()

    asyncio.run(run())


def test_a_disk_without_room_for_what_comes_is_told_and_not_a_line_that_ends_in_silence(tmp_path, monkeypatch):
    def full(descriptor, offset, length):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("gossamer.transport.incoming.os.posix_fallocate", full)

    async def run():
        hub = Site("a", tmp_path, {})
        port = await hub.transport.start()
        spoke = Site("b", tmp_path, {"a": f"127.0.0.1:{port}"}, listen=None)
        both = CombinedTransport([spoke.transport])
        await both.start()
        sending = asyncio.create_task(hub.transport.send("b", FRAME))
        try:
            async with asyncio.timeout(60):
                await anext(both.receive())
        finally:
            sending.cancel()
            await both.close()
            await hub.transport.close()

    with pytest.raises(DiskFullError, match="a peer sends"):
        asyncio.run(run())


async def greet(channel):
    call = channel.stream_stream(METHOD)()
    await call.write(to_bytes(HELLO))
    return await call.read()


async def knock(port, tls, *, trusts="a", named="a"):
    """Call as a stranger would; the gRPC status it ends with, or the first answer."""
    root = IDENTITIES[trusts].pem.encode()
    credentials = grpc.ssl_channel_credentials(root, *((tls.key_pem, tls.chain_pem) if tls else (None, None)))
    options = [("grpc.ssl_target_name_override", tls_name(IDENTITIES[named].site_id))]
    async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options) as channel:
        try:
            async with asyncio.timeout(60):
                return await greet(channel)
        except grpc.aio.AioRpcError as error:
            return error.code()


def borrowed_name():
    """A member signs a certificate that names another member."""
    from gossamer.transport import identity as module

    forged = module.Identity(IDENTITIES["c"].key, IDENTITIES["c"].certificate)
    real = module.tls_name
    try:
        module.tls_name = lambda _site_id: real(IDENTITIES["b"].site_id)
        return new_tls_certificate(forged)
    finally:
        module.tls_name = real


def strangers():
    long_ago = datetime.now(UTC) - timedelta(days=100)
    outsider, stranger, member = IDENTITIES["outsider"], TLS["outsider"], TLS["b"]
    return {
        "no certificate": None,
        "an unknown key": TLS["outsider"],
        "an expired certificate": new_tls_certificate(IDENTITIES["b"], long_ago),
        "a certificate that is not valid yet": new_tls_certificate(IDENTITIES["b"], datetime.now(UTC) + timedelta(9)),
        "another member's name": borrowed_name(),
        "another's certificate without its key": TlsCertificate(stranger.key_pem, member.chain_pem, member.ends),
        "the identity itself": TlsCertificate(member.key_pem, outsider.pem.encode(), member.ends),
    }  # fmt: skip


@pytest.mark.parametrize("who", strangers())
def test_only_members_are_answered(tmp_path, who):
    async def run():
        site = Site("a", tmp_path, {})
        port = await site.transport.start()
        answer = await knock(port, strangers()[who])
        assert answer in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAUTHENTICATED)
        assert not any(line.state.is_up for line in site.transport.lines.values())
        assert isinstance(await knock(port, TLS["b"]), bytes)
        await site.transport.close()

    asyncio.run(run())


def test_a_plaintext_caller_is_not_answered(tmp_path):
    async def run():
        site = Site("a", tmp_path, {})
        port = await site.transport.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            with pytest.raises(grpc.aio.AioRpcError):
                await greet(channel)
        await site.transport.close()

    asyncio.run(run())


@pytest.mark.parametrize("shows", ["outsider", "c"])
def test_a_site_speaks_with_nobody_who_took_its_peers_place(tmp_path, shows, monkeypatch):
    """An antivirus or proxy that intercepts TLS shows a certificate of its own; so does another member."""
    monkeypatch.setattr(grpc_lines, "REDIAL_S", (0.01, 0.05))
    looks = []

    async def look(peer):  # asked after some dials in vain, and again after each
        looks.append(peer.name)

    async def run():
        false_peer = Site("b", tmp_path, {}, tls=TLS[shows])
        port = await false_peer.transport.start()
        site = Site("a", tmp_path, {"b": f"127.0.0.1:{port}"}, listen=None, look=look)
        await site.transport.start()
        await wait_for(lambda: len(looks) >= 3)
        assert site.transport.lines["b"].state.streams == 0
        await site.transport.close()
        await false_peer.transport.close()

    asyncio.run(run())


def test_why_a_peer_cannot_be_reached_is_told_once_and_kept_for_people_until_it_can(tmp_path, monkeypatch):
    monkeypatch.setattr(grpc_lines, "REDIAL_S", (0.01, 0.05))
    reasons = [PortClosedError("closed"), PortClosedError("closed"), NotTlsError("no TLS"), None]
    looks, two_are_done = [], asyncio.Event()

    async def look(peer):
        looks.append(peer.name)
        if len(looks) == 3:
            await two_are_done.wait()
        return reasons[min(len(looks), len(reasons)) - 1]

    async def run():
        site = Site("a", tmp_path, {"b": f"127.0.0.1:{own_port()}"}, listen=None, look=look)
        await site.transport.start()
        state = site.transport.lines["b"].state
        await wait_for(lambda: len(looks) == 3)
        assert (state.refusal.code, site.refused) == ("GOS-511", [("b", "GOS-511", "closed")])
        two_are_done.set()
        await wait_for(lambda: len(looks) >= 4 and state.refusal is None)
        assert site.refused == [("b", "GOS-511", "closed"), ("b", "GOS-513", "no TLS")]
        await site.transport.close()

    asyncio.run(run())


def test_a_renewed_certificate_serves_new_calls_without_a_stop(tmp_path):
    async def run():
        expired = new_tls_certificate(IDENTITIES["a"], datetime.now(UTC) - timedelta(days=100))
        site = Site("a", tmp_path, {}, tls=expired)
        port = await site.transport.start()
        assert await knock(port, TLS["b"]) is grpc.StatusCode.UNAVAILABLE
        site.tls = TLS["a"]
        assert isinstance(await knock(port, TLS["b"]), bytes)
        await site.transport.close()

    asyncio.run(run())


def test_the_core_gets_a_certificate_anew_only_where_it_was_renewed(tmp_path, monkeypatch):
    """Each new one is a moment in which two callers at once can end the process (``identity`` of faults tries)."""
    asked = []
    make = grpc.dynamic_ssl_server_credentials

    def noted(first, renewed, **options):
        asked.append(renewed)
        return make(first, renewed, **options)

    monkeypatch.setattr(grpc, "dynamic_ssl_server_credentials", noted)

    async def run():
        site = Site("a", tmp_path, {})
        await site.transport.start()
        [renewed] = asked
        assert [renewed(), renewed()] == [None, None]
        site.tls = new_tls_certificate(IDENTITIES["a"])
        assert renewed() is not None
        assert renewed() is None
        await site.transport.close()

    asyncio.run(run())


def test_sites_of_other_federation_files_refuse_each_other_aloud(tmp_path):
    async def run():
        site = Site("a", tmp_path, {})
        port = await site.transport.start()
        other = HELLO.model_copy(update={"federation": "cd" * 32})
        stale = Site("b", tmp_path, {"a": f"127.0.0.1:{port}"}, listen=None, hello=other)
        await stale.transport.start()
        await wait_for(lambda: site.refused and stale.refused)
        for refused in (site.refused, stale.refused):
            assert (refused[0][1], "federation file" in refused[0][2]) == ("GOS-518", True)
        await stale.transport.close()
        await site.transport.close()

    asyncio.run(run())


def test_a_caller_that_is_sent_away_is_noted_also_where_it_hangs_up_while_it_is_told_why(tmp_path, monkeypatch, caplog):
    telling, hung_up = asyncio.Event(), asyncio.Event()
    write = grpc_streams.CallStream.write

    async def slow(stream, data):
        if isinstance(from_bytes(data), No):
            telling.set()
            await hung_up.wait()
            await asyncio.sleep(0.2)  # the server has seen it
        await write(stream, data)

    complaints = []

    async def run():
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
        site = Site("a", tmp_path, {})
        port = await site.transport.start()
        root, name = IDENTITIES["a"].pem.encode(), tls_name(IDENTITIES["a"].site_id)
        credentials = grpc.ssl_channel_credentials(root, TLS["b"].key_pem, TLS["b"].chain_pem)
        options = [("grpc.ssl_target_name_override", name)]
        async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options) as channel:
            call = channel.stream_stream(METHOD)()
            await call.write(to_bytes(HELLO.model_copy(update={"federation": "cd" * 32})))
            await telling.wait()
            call.cancel()
        hung_up.set()
        await wait_for(lambda: site.refused)
        await site.transport.close()
        assert "federation file" in site.refused[0][2]

    monkeypatch.setattr(grpc_streams.CallStream, "write", slow)
    asyncio.run(run())
    gc.collect()  # asyncio complains of an exception that nobody waited for when its task goes
    # gRPC logs a handler that fails. Its one poller of this process, and what other tests left, may complain here too.
    said = [record.getMessage() for record in caplog.records if record.name.startswith("grpc")]
    assert not [text for text in said if "servicer method" in text]
    assert not complaints


def test_a_peer_that_starts_again_is_found_and_gets_what_waited(tmp_path):
    async def run():
        port = own_port()
        first = Site("a", tmp_path, {}, listen=f"127.0.0.1:{port}")
        await first.transport.start()
        site = Site("b", tmp_path, {"a": f"127.0.0.1:{port}"}, listen=None)
        await site.transport.start()
        await wait_for(lambda: site.transport.lines["a"].state.is_up)
        await first.transport.close()
        await wait_for(lambda: not site.transport.lines["a"].state.is_up)
        sending = asyncio.create_task(site.transport.send("a", FRAME))
        second = Site("a", tmp_path, {}, listen=f"127.0.0.1:{port}")
        assert await second.transport.start() == port
        await sending
        assert await second.one() == ("b", FRAME.to_bytes())
        await site.transport.close()
        await second.transport.close()

    asyncio.run(run())


@pytest.mark.parametrize("turns", range(1, 5))
def test_a_site_that_is_stopped_while_it_begins_to_listen_leaves_its_port(tmp_path, turns):
    """gRPC's core crashes where a server is stopped before it has begun; one that nobody stops keeps the port."""

    async def run():
        listen = f"127.0.0.1:{own_port()}"
        stopped = Site("a", tmp_path, {}, listen=listen).transport
        starting = asyncio.create_task(stopped.start())
        for _ in range(turns):
            await asyncio.sleep(0)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await stopped.close()
        again = Site("a", tmp_path, {}, listen=listen).transport
        await again.start()
        await again.close()

    asyncio.run(run())


def test_an_address_that_is_taken_is_said(tmp_path):
    async def run():
        site = Site("a", tmp_path, {})
        port = await site.transport.start()
        with pytest.raises(ConnectionError, match="cannot listen"):
            await Site("b", tmp_path, {}, listen=f"127.0.0.1:{port}").transport.start()
        await site.transport.close()

    asyncio.run(run())


@pytest.mark.parametrize("steps", range(4))
def test_a_start_that_is_broken_off_leaves_no_half_server_behind(tmp_path, steps):
    """Ctrl-C at once: gRPC does not take it that its own start is cancelled, and says so in the end."""

    async def run():
        wrong = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: wrong.append(context))
        site = Site("a", tmp_path, {})
        starting = asyncio.create_task(site.transport.start())
        for _ in range(steps):
            await asyncio.sleep(0)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await site.transport.close()
        gc.collect()
        return wrong

    assert asyncio.run(run()) == []
