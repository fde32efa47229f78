"""The fault proxy itself: passing, cutting, swallowing, recording."""

import socket
import threading
from contextlib import suppress

import pytest
from faults.net_hospitals import wait_until
from faults.net_proxy import FaultProxy


@pytest.fixture
def echo():
    """Somebody who says again what it hears."""
    door = socket.create_server(("127.0.0.1", 0))

    def serve():
        with suppress(OSError):
            while True:
                caller, _ = door.accept()
                threading.Thread(target=answer, args=(caller,), daemon=True).start()

    def answer(caller):
        with caller:
            while data := caller.recv(100):
                caller.sendall(data)

    threading.Thread(target=serve, daemon=True).start()
    yield f"127.0.0.1:{door.getsockname()[1]}"
    door.shutdown(socket.SHUT_RDWR)
    door.close()


def call(proxy):
    host, _, port = proxy.address.rpartition(":")
    return socket.create_connection((host, int(port)), 60.0)


def test_it_passes_both_directions_on_and_records_them(echo):
    with FaultProxy(echo, records=True) as proxy, call(proxy) as caller:
        caller.sendall(b"word")
        assert caller.recv(10) == b"word"
        assert bytes(proxy.recorded) == b"wordword"


@pytest.mark.parametrize("mode", ["swallow", "swallow answers"])
def test_swallowing_leaves_the_connection_open_and_its_end_breaks_it(echo, mode):
    with FaultProxy(echo, records=True) as proxy, call(proxy) as caller:
        caller.sendall(b"1")
        assert caller.recv(10) == b"1"
        proxy.set(mode)
        caller.sendall(b"2")
        assert wait_until(lambda: proxy.recorded.count(b"2") == (2 if mode == "swallow answers" else 1), 60.0)
        caller.settimeout(0.1)
        with pytest.raises(TimeoutError):
            caller.recv(10)
        assert proxy.recorded.count(b"2") == (2 if mode == "swallow answers" else 1)
        proxy.set("pass")
        caller.settimeout(60.0)
        assert caller.recv(10) == b""


def test_a_cut_ends_what_is_connected_and_takes_nobody_new(echo):
    with FaultProxy(echo) as proxy, call(proxy) as caller:
        caller.sendall(b"1")
        assert caller.recv(10) == b"1"
        proxy.set("cut")
        assert caller.recv(10) == b""
        with call(proxy) as other, suppress(ConnectionResetError):
            assert other.recv(10) == b""
