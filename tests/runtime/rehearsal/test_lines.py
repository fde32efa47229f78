"""Why a line is down: what only a rehearsal knows, beside the looks of the check."""

from gossamer.errors import OtherFederationError
from gossamer.runtime.preflight.peers import Patience
from gossamer.runtime.rehearsal.derived import rehearsed
from gossamer.runtime.rehearsal.lines import is_up, look_at, not_through, not_turned_up, refused
from gossamer.transport.line import LineState
from gossamer.transport.mailbox_line import MailboxState

SHORT = Patience(0.5, 0.5, 0.5)


def test_a_mailbox_that_answers_is_no_peer_that_was_heard():
    assert is_up(LineState(is_up=True))
    assert not is_up(LineState())
    assert not is_up(MailboxState(is_up=True))
    assert is_up(MailboxState(is_up=True, heard_s=1e9))


def test_only_what_is_wrong_is_told(federation):
    """B's port is closed; C dials out only, and would dial A."""
    federation.found({"C": None})
    real = federation.read()
    found = look_at({"B", "C"}, federation.site("A"), real, rehearsed(real), SHORT)
    assert {peer: finding.code for peer, finding in found.items()} == {"B": "GOS-511"}


def test_nobody_is_looked_at_where_all_lines_are_up(federation):
    real = federation.found().read()
    assert look_at(set(), federation.site("A"), real, rehearsed(real)) == {}


def test_what_else_is_said_names_the_time_and_what_to_do():
    absent = not_turned_up("B", 90.0)
    assert (absent.code, absent.found) == ("GOS-512", "did not turn up within 1.5 min")
    assert "127.0.0.1:7443 does not lead here" in not_through("B", "127.0.0.1:7443").remedy
    assert "site.toml" in not_through("B", None).remedy


def test_what_a_peer_was_refused_for_stands_also_when_it_has_gone():
    finding = refused(
        "B", OtherFederationError("site B: wanted the same federation file; found another; compare the files")
    )
    assert (finding.code, finding.subject, finding.remedy) == ("GOS-518", "B", "compare the files")
