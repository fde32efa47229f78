"""Which proxy gRPC would take, and that no password of it is told."""

import pytest

from gossamer.runtime.preflight.proxy import proxy_for

HTTPS = {"https": "http://proxy.example:3128"}


def test_no_proxy_no_word():
    assert proxy_for("peer.example", {}) is None
    assert proxy_for("peer.example", {"no": "x", "ftp": "http://ftp.example"}) is None


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        (HTTPS, "proxy.example:3128 (https_proxy)"),
        (HTTPS | {"grpc": "http://grpc.example:1"}, "grpc.example:1 (grpc_proxy)"),
        ({"http": "plain.example:8080"}, "plain.example:8080 (http_proxy)"),
        ({"https": "http://user:secret@proxy.example"}, "proxy.example (https_proxy)"),
        ({"https": "http://proxy.example:no"}, "at an address that cannot be read (https_proxy)"),
    ],
)
def test_the_first_of_grpc_s_three_variables_counts(environment, said):
    assert proxy_for("peer.example", environment) == said


@pytest.mark.parametrize("exempt", ["peer.example", "other, peer.example", ".example", "example", "*"])
def test_a_host_that_is_exempt_goes_straight(exempt):
    assert proxy_for("peer.example", HTTPS | {"no": exempt}) is None
    assert proxy_for("peer.example", HTTPS | {"no_grpc": exempt, "no": ""}) is None


def test_networks_are_exempt_too():
    assert proxy_for("10.1.2.3", HTTPS | {"no": "10.0.0.0/8"}) is None
    assert proxy_for("192.168.0.1", HTTPS | {"no": "10.0.0.0/8"}) is not None


def test_an_end_of_a_name_is_no_part_of_a_word():
    assert proxy_for("notpeer.example", HTTPS | {"no": "peer.example"}) is not None


def test_this_process_s_environment_is_looked_at(monkeypatch):
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    assert proxy_for("peer.example") == "proxy.example:3128 (https_proxy)"
