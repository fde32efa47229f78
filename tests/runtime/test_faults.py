"""What goes wrong is fixed before it begins."""

from gossamer.runtime.faults import FaultPlan, Outage, random_power_cuts


def test_site_is_cut_off_from_the_first_to_before_the_last_moment_of_an_outage():
    plan = FaultPlan((Outage("A", 10.0, 20.0), Outage("A", 30.0, 31.0)))
    cut_off = [now_s for now_s in (9.9, 10.0, 19.9, 20.0, 30.5, 31.0) if plan.is_cut_off("A", now_s)]
    assert cut_off == [10.0, 19.9, 30.5]
    assert not plan.is_cut_off("B", 15.0)


def test_power_cuts_follow_from_their_seed():
    drawn = [random_power_cuts("CAB", seed, count=50, events=9, longest_s=7.0) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    # Names are taken in sorted order, so the order in which they are given does not matter.
    assert random_power_cuts("ABC", 1, count=50, events=9, longest_s=7.0) == drawn[0]


def test_power_cuts_are_within_what_was_asked_for():
    cuts = random_power_cuts("AB", 3, count=300, events=9, longest_s=7.0)
    assert {cut.site for cut in cuts} == {"A", "B"}
    assert {cut.event for cut in cuts} == set(range(9))
    assert {cut.actions for cut in cuts} == {0, 1, 2, 3}
    assert all(0 <= cut.down_s <= 7.0 for cut in cuts)
    assert random_power_cuts("AB", 3, count=0, events=9, longest_s=7.0) == ()
