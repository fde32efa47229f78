"""The unit of the watch on a PACS: it is closed like a site's, and starts again where that may help."""

from tests.deploy.units import unit, verdict_of_systemd

from gossamer import errors


def test_systemd_finds_nothing_to_say_about_the_unit(tmp_path):
    assert verdict_of_systemd(["gossamer-pacs.service"], tmp_path) == (0, [])


def test_watch_is_as_closed_as_a_site_and_restarts_where_that_may_help():
    watch, site = unit("gossamer-pacs.service")["Service"], unit("gossamer-site.service")["Service"]
    closed = {
        name: value for name, value in site.items() if name.startswith(("No", "Lock", "Restrict", "System", "Limit"))
    }
    assert closed.items() <= dict(watch).items()
    assert watch["UMask"] == "0077"
    assert unit("gossamer-pacs.service")["Unit"]["StartLimitIntervalSec"] == "0"
    not_again = {int(status) for status in watch["RestartPreventExitStatus"].split()}
    assert not_again == {kind.exit_status for kind in (errors.UsageError, errors.DataError, errors.ConfigurationError)}
    assert errors.PacsError.exit_status not in not_again
