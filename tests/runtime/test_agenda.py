"""The virtual clock."""

from gossamer.runtime.agenda import Agenda, PowerIsBack


def drain(agenda):
    happened = []
    while (happening := agenda.next()) is not None:
        happened.append((agenda.now_s, happening.site))
    return happened


def test_what_is_earlier_comes_first_and_of_equal_times_what_was_noted_first():
    agenda = Agenda()
    for at_s, site in ((5.0, "late"), (1.0, "first"), (1.0, "second"), (0.5, "early"), (1.0, "third")):
        agenda.note(at_s, PowerIsBack(site))
    assert drain(agenda) == [(0.5, "early"), (1.0, "first"), (1.0, "second"), (1.0, "third"), (5.0, "late")]
    assert agenda.next() is None
    assert agenda.now_s == 5.0


def test_agenda_goes_on_from_its_record_and_notes_behind_what_is_there():
    agenda, again = Agenda(), Agenda()
    for number in range(20):
        agenda.note(float(number % 3), PowerIsBack(f"{number:02d}"))
    agenda.next()
    again.load(agenda.record())
    for each in (agenda, again):
        each.note(0.0, PowerIsBack("last of its time"))
    expected = drain(agenda)
    assert drain(again) == expected
    assert expected[6] == (0.0, "last of its time")
