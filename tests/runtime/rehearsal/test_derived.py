"""What is rehearsed follows from the federation file alone, and cannot be taken for the real run."""

import pytest

from gossamer.data.fingerprint import Fingerprint
from gossamer.data.planning import plan_from_fingerprint
from gossamer.errors import ScheduleError
from gossamer.gossip import Mass
from gossamer.nets import NETWORKS, build_network
from gossamer.runtime.federation_file import Federation, FederationSettings
from gossamer.runtime.rehearsal.derived import ROUNDS, agreement_of, rehearsed, usual_plan

STRUCTURES = ("Parotid_L", "Parotid_R", "Brainstem")


def settings(**other):
    return FederationSettings(title="Two", structures=STRUCTURES, rounds=100, local_steps=20, **other)


def test_its_hash_is_another_for_each_file_and_never_the_files_own():
    first, second = (Federation(settings(), digit * 64) for digit in "ab")
    hashes = {rehearsed(first).sha256, rehearsed(second).sha256, first.sha256, second.sha256}
    assert len(hashes) == 4
    assert rehearsed(first).sha256 == rehearsed(Federation(settings(), "a" * 64)).sha256


def test_nobody_waits_for_anybody_in_it_whatever_the_pace_of_the_real_run():
    found = rehearsed(Federation(settings(pace="lockstep", algorithm="sweep", topology="hypercube"), "a" * 64)).settings
    assert (found.rounds, found.pace, found.algorithm, found.topology) == (ROUNDS, "asynchronous", None, None)


@pytest.mark.parametrize("network", NETWORKS)
def test_its_network_takes_as_many_bytes_as_one_planned_from_real_voxels(network):
    """CTs of 3 x 0.98 x 0.98 mm; the rules fix layers and maps, and strides move the rest by little."""
    rules = {"network": network}
    plan = usual_plan(settings(plan=rules))
    spacing, extent = ({60: 1}, {20: 1}, {20: 1}), ({360: 1}, {500: 1}, {500: 1})
    real = Fingerprint(4, dict.fromkeys(STRUCTURES, 4), {-100: 5, 0: 50, 60: 20}, spacing, extent)
    other = plan_from_fingerprint(real, STRUCTURES, settings(plan=rules).plan)
    assert bytes_of(plan) == pytest.approx(bytes_of(other), rel=0.02)
    assert plan.hash != other.hash


def bytes_of(plan):
    return sum(weight.nbytes for weight in build_network(plan).parameters())


def test_the_federations_own_rules_are_kept():
    plan = usual_plan(settings(plan={"patch_size": (16, 32, 32), "channels": (8, 16), "window_hu": (-160, 240)}))
    assert (plan.patch_size, plan.network.channels, plan.hu_high) == ((16, 32, 32), (8, 16), 240.0)


def test_a_file_without_sites_has_no_agreement():
    federation = rehearsed(Federation(settings(), "a" * 64))
    with pytest.raises(ScheduleError):
        agreement_of(federation, usual_plan(settings()), Mass(2.0), ())
