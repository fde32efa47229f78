"""Mailboxes on real servers on loopback: SFTP (asyncssh) and WebDAV over TLS (wsgidav)."""

import asyncio
import importlib.util
import ipaddress
import threading
from datetime import UTC, datetime, timedelta

import pytest
import torch
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from faults.ports import own_port

from gossamer.transport import mailbox_line, parcels_in, parcels_out, sealing
from gossamer.transport.identity import new_identity
from gossamer.transport.line_messages import Hello
from gossamer.transport.mailbox import MailboxTransport
from gossamer.transport.store_address import store_opener
from gossamer.wire.frame import build_frame
from gossamer.wire.limits import Limits

PART = 2**16
SIZE = 4 * PART // 4 + 100  # of float32: five parts
LIMITS = Limits({"weight": (torch.float32, (SIZE,))}, {})
FRAME = build_frame({}, {"weight": torch.arange(SIZE, dtype=torch.float32)})
NAMES = ("north", "south")
IDENTITIES = {name: new_identity(name) for name in NAMES}
USER, PASSWORD = "gossamer", "only for this test"


class SftpServer:
    """asyncssh's server; ``offered`` counts passwords that it was told."""

    module = "asyncssh"

    def __init__(self, folder):
        import asyncssh

        self.root = folder / "root"
        (self.root / "exchange").mkdir(parents=True)
        self._key = asyncssh.generate_private_key("ecdsa-sha2-nistp256")
        self._known_hosts = folder / "known_hosts"
        self.port = own_port()
        self.offered = 0
        self.start()
        host = f"[127.0.0.1]:{self.port} "
        self._known_hosts.write_text(host + self._key.export_public_key("openssh").decode())
        (folder / "other_hosts").write_text(
            host + asyncssh.generate_private_key("ecdsa-sha2-nistp256").export_public_key("openssh").decode()
        )
        self._other_hosts = folder / "other_hosts"

    def opener(self, path="exchange", password=PASSWORD, *, trusted=True):
        hosts = self._known_hosts if trusted else self._other_hosts
        options = {"password": password, "known_hosts": str(hosts)}
        return store_opener(f"sftp://{USER}@127.0.0.1:{self.port}/{path}", options)

    def start(self):
        import asyncssh

        outer = self

        class Login(asyncssh.SSHServer):
            def connection_made(self, connection):
                connections.append(connection)

            def begin_auth(self, username):
                return True

            def password_auth_supported(self):
                return True

            def validate_password(self, username, password):
                outer.offered += 1
                return (username, password) == (USER, PASSWORD)

        async def serve():
            acceptor = await asyncssh.listen(
                "127.0.0.1",
                self.port,
                server_host_keys=[self._key],
                server_factory=Login,
                sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(self.root)),
            )
            self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
            started.set()
            await self._end.wait()
            acceptor.close()
            for connection in connections:
                connection.abort()
            await asyncio.gather(*(connection.wait_closed() for connection in connections), return_exceptions=True)
            await acceptor.wait_closed()

        connections = []
        started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(serve()))
        self._thread.start()
        assert started.wait(60)

    def stop(self):
        """With all its connections."""
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(60)


class WebdavServer:
    """wsgidav behind cheroot, with a certificate that nobody but ``ca_file`` trusts."""

    module = "wsgidav"

    def __init__(self, folder):
        self.root = folder / "root"
        (self.root / "exchange").mkdir(parents=True)
        self._certificate, self._key = write_certificate(folder)
        self.port = own_port()
        self.offered = 0
        self.start()

    def opener(self, path="exchange", password=PASSWORD, *, trusted=True):
        options = {"password": password} | ({"ca_file": str(self._certificate)} if trusted else {})
        return store_opener(f"webdav://{USER}@127.0.0.1:{self.port}/{path}", options)

    def start(self):
        from cheroot.ssl.builtin import BuiltinSSLAdapter
        from cheroot.wsgi import Server
        from wsgidav.fs_dav_provider import FilesystemProvider
        from wsgidav.wsgidav_app import WsgiDAVApp

        app = WsgiDAVApp(
            {
                "provider_mapping": {"/": FilesystemProvider(str(self.root))},
                "simple_dc": {"user_mapping": {"*": {USER: {"password": PASSWORD}}}},
                "http_authenticator": {"accept_basic": True, "accept_digest": False, "default_to_digest": False},
                "verbose": 0,
                "logging": {"enable": False},
                "dir_browser": {"enable": False},
            }
        )

        def counting(environ, start_response):
            self.offered += "HTTP_AUTHORIZATION" in environ
            return app(environ, start_response)

        self._server = Server(("127.0.0.1", self.port), counting, numthreads=4)
        self._server.error_log = lambda *_, **__: None  # a client that breaks off a handshake is meant to
        self._server.ssl_adapter = BuiltinSSLAdapter(str(self._certificate), str(self._key))
        self._server.prepare()
        self._thread = threading.Thread(target=self._server.serve)
        self._thread.start()

    def stop(self):
        self._server.stop()
        self._thread.join(60)


def write_certificate(folder):
    """A self-signed TLS certificate for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "tls.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "tls.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return folder / "tls.pem", folder / "tls.key"


SERVERS = {"sftp": SftpServer, "webdav": WebdavServer}


@pytest.fixture(params=SERVERS)
def server(request, tmp_path):
    kind = SERVERS[request.param]
    if importlib.util.find_spec(kind.module) is None:
        pytest.skip(f"{kind.module} is not installed")
    running = kind(tmp_path)
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(mailbox_line, "LOOK_S", (0.02, 0.1))
    monkeypatch.setattr(mailbox_line, "RETRY_S", (0.05, 0.2))
    for module in (sealing, parcels_in, parcels_out):
        monkeypatch.setattr(module, "PART_BYTES", PART)


def both(open_store, home):
    return [
        MailboxTransport(
            IDENTITIES[name],
            {other: IDENTITIES[other].certificate for other in NAMES if other != name},
            open_store=open_store,
            hello=Hello(protocols=(1,), release="0.1.0", federation="ab" * 32),
            limits=LIMITS,
            folder=home / name,
        )
        for name in NAMES
    ]


def run(sites, what):
    async def alive():
        for site in sites:
            await site.start()
        try:
            async with asyncio.timeout(120):
                await what(*sites)
        finally:
            for site in sites:
                await site.close()

    asyncio.run(alive())


async def until(condition):
    while not condition():
        await asyncio.sleep(0.01)


def test_frames_arrive_both_ways_and_leave_nothing_but_letters(server, tmp_path):
    async def exchange(a, b):
        sending = asyncio.gather(a.send("south", FRAME), b.send("north", FRAME))
        for site, peer in ((a, "south"), (b, "north")):
            sender, frame = await anext(site.receive())
            assert (sender, bytes(frame)) == (peer, FRAME.to_bytes())
        await sending

    run(both(server.opener(), tmp_path), exchange)
    left = [path.name for path in server.root.rglob("*") if path.is_file()]
    assert sorted(left) == ["letter-0", "letter-0", "letter-1", "letter-1"]


def test_a_server_that_goes_away_is_shown_and_waited_for(server, tmp_path):
    async def exchange(a, b):
        await until(lambda: a.lines["south"].state.heard_s)
        await asyncio.to_thread(server.stop)
        sending = asyncio.create_task(a.send("south", FRAME))
        await until(lambda: a.lines["south"].state.trouble and not b.lines["north"].state.is_up)
        await asyncio.to_thread(server.start)
        _, frame = await anext(b.receive())
        assert bytes(frame) == FRAME.to_bytes()
        await sending
        await until(lambda: a.lines["south"].state.trouble is None)

    run(both(server.opener(), tmp_path), exchange)


def test_a_wrong_password_is_shown_and_ends_nothing(server, tmp_path):
    async def exchange(a, _):
        await until(lambda: a.lines["south"].state.trouble)
        assert not a.lines["south"].state.is_up

    run(both(server.opener(password="wrong"), tmp_path), exchange)


def test_a_password_is_not_said_to_a_server_that_is_not_known(server):
    with pytest.raises(Exception, match=r"(?i)host key|certificate"):
        server.opener(trusted=False)().read("box/letter-0", 10)
    assert server.offered == 0


def test_no_more_is_read_than_was_asked_for(server):
    store = server.opener()()
    try:
        assert store.read("box/letter-0", 5) is None
        assert store.size_bytes("box/letter-0") is None
        store.write("box/letter-0", b"0123456789")
        store.write("box/letter-1", b"")
        assert store.read("box/letter-0", 5) == b"01234"
        assert store.read("box/letter-0", 50) == b"0123456789"
        assert store.read("box/letter-1", 50) == b""
        assert store.size_bytes("box/letter-0") == 10
        store.write("box/letter-0", b"another")
        assert store.read("box/letter-0", 50) == b"another"
        store.remove("box/letter-0")
        store.remove("box/letter-0")
        assert store.read("box/letter-0", 5) is None
    finally:
        store.close()


def test_a_connection_that_ends_while_it_is_read_is_told_to_the_reader_alone(tmp_path, monkeypatch):
    """paramiko asks for the next pieces in a thread of its own, which must not write to the console that it failed."""
    paramiko = pytest.importorskip("paramiko")
    pytest.importorskip("asyncssh")
    on_the_console = []
    monkeypatch.setattr(threading, "excepthook", on_the_console.append)
    ask = paramiko.SFTPClient._async_request

    def ends_at_the_second(client, file, kind, *arguments):
        if kind == paramiko.sftp.CMD_READ and arguments[1] > 0:
            client.get_channel().get_transport().close()
        return ask(client, file, kind, *arguments)

    server = SftpServer(tmp_path)
    try:
        store = server.opener()()
        store.write("box/part", bytes(100_000))
        monkeypatch.setattr(paramiko.SFTPClient, "_async_request", ends_at_the_second)
        before = set(threading.enumerate())
        with pytest.raises((OSError, EOFError, paramiko.SSHException)):
            store.read("box/part", 100_000)
        for thread in set(threading.enumerate()) - before:
            thread.join(60)
    finally:
        server.stop()
    assert on_the_console == []


def test_the_folder_itself_is_never_made(server):
    store = server.opener("a slip of the pen")()
    try:
        with pytest.raises(Exception, match=r"(?i)no such|not found|could not be found|409"):
            store.write("box/letter-0", b"x")
    finally:
        store.close()
    assert [path.name for path in server.root.iterdir()] == ["exchange"]
