import pytest

from gossamer.errors import ScheduleError
from gossamer.gossip import (
    ALGORITHMS,
    TOPOLOGIES,
    build_algorithm,
    build_gossip,
    build_topology,
    default_topology,
)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_algorithm_is_built_by_its_name(name):
    assert build_algorithm(name).name == name


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_topology_is_built_by_its_name(name, sites_named):
    assert build_topology(name, sites_named(4), 0).name == name


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 16])
def test_every_algorithm_takes_its_own_topology_for_any_number_of_sites(name, count, sites_named):
    algorithm, topology = build_gossip(name, sites_named(count), 0)
    assert (algorithm.name, topology.name) == (name, default_topology(name, count))
    assert len(topology.sites) == count


def test_default_topology_of_a_sweep_is_the_cheapest_exact_one():
    assert {count for count in range(1, 17) if default_topology("sweep", count) == "hypercube"} == {1, 2, 4, 8, 16}
    assert {default_topology("sweep", count) for count in (3, 5, 6, 7)} == {"base"}
    assert [default_topology(name, 4) for name in ("pushsum", "dpsgd", "fedavg")] == ["exponential", "ring", "star"]


def test_own_algorithm_joins_without_being_registered(sites_named):
    class Mine(ALGORITHMS["pushsum"]):
        name = "mine"

    mine = Mine()
    algorithm, topology = build_gossip(mine, sites_named(4), 0, topology="epidemic", topology_settings={"fanout": 1})
    assert algorithm is mine
    assert topology.fanout == 1
    assert build_gossip(mine, sites_named(6), 0)[1].name == "base"


def test_seed_reaches_random_schedules_alone(sites_named):
    assert build_gossip("pushsum", sites_named(4), 12, topology="epidemic")[1].seed == 12
    assert not hasattr(build_topology("ring", sites_named(4), 12), "seed")


def test_misspelt_names_and_settings_are_answered_with_the_right_ones(sites_named):
    with pytest.raises(ScheduleError, match="did you mean 'sweep'"):
        build_algorithm("sweeep")
    with pytest.raises(ScheduleError, match="take one of these"):
        build_algorithm("xyz")
    with pytest.raises(ScheduleError, match="settings among none; found 'momentum'"):
        build_algorithm("sweep", momentum=0.9)
    with pytest.raises(ScheduleError, match="settings among hub; found 'fanout'"):
        build_topology("star", sites_named(3), 0, fanout=2)
