"""The port that a site listens on: free, taken by itself, or taken by another."""

import pytest

from gossamer.runtime.preflight.listening import check_listening
from gossamer.runtime.site_folder import SETTINGS, SiteFolder


@pytest.fixture
def with_settings(pair):
    """The site a with other settings."""

    def change(**values):
        lines = {"name": "a", "data": "data"} | values
        (pair.a.path / SETTINGS).write_text("".join(f'{key} = "{value}"\n' for key, value in lines.items()))
        return SiteFolder(pair.a.path)

    return change


def test_a_free_port_is_well_and_stays_free(pair):
    for _ in range(2):
        [finding] = check_listening(pair.a)
        assert finding.state == "ok"
        assert pair.a.settings.listen in finding.found


def test_a_port_on_all_addresses_is_well(with_settings, pair):
    port = pair.a.settings.listen.rpartition(":")[2]
    assert check_listening(with_settings(listen=f"0.0.0.0:{port}", address="a.example:1"))[0].state == "ok"


def test_a_port_that_another_program_has_is_a_fault(pair, somebody):
    with somebody(pair.a.settings.listen, lambda connection: connection.sendall(b"SSH-2.0-other\r\n")):
        [finding] = check_listening(pair.a)
    assert (finding.check, finding.state, finding.code) == ("port", "fault", "GOS-608")


def test_a_port_that_this_site_s_service_has_is_well(pair, service):
    with service(pair.a):
        [finding] = check_listening(pair.a)
    assert (finding.state, "service listens" in finding.found) == ("ok", True)


def test_another_site_s_service_on_this_port_is_a_fault(pair, service):
    with service(pair.a, tls=pair.b.tls):
        assert check_listening(pair.a)[0].code == "GOS-608"


def test_an_address_of_another_machine_is_a_fault(with_settings):
    [finding] = check_listening(with_settings(listen="192.0.2.1:7443", address="a.example:7443"))
    assert (finding.state, finding.code) == ("fault", "GOS-608")


def test_listening_where_nobody_is_told_is_a_warning(with_settings, pair):
    [finding] = check_listening(with_settings(listen=pair.a.settings.listen))
    assert (finding.state, finding.code) == ("warning", "GOS-608")


def test_a_site_that_dials_out_needs_no_port(with_settings):
    assert check_listening(with_settings())[0].state == "ok"
