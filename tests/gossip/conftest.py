"""Sites in lockstep, the shortest driver there is: what the algorithms' laws are tested on."""

import pytest
import torch

from gossamer.gossip import Mass, SiteId


class Lockstep:
    """All sites exchange at the same time; nothing is lost."""

    def __init__(self, algorithm, topology, params, masses):
        self.algorithm, self.topology, self.exchanges = algorithm, topology, 0
        self.states = {
            site: algorithm.init(each, mass) for site, each, mass in zip(topology.sites, params, masses, strict=True)
        }

    @property
    def estimates(self):
        return [self.algorithm.estimate(self.states[site]) for site in self.topology.sites]

    @property
    def masses(self):
        return [self.states[site].mass for site in self.topology.sites]

    def exchange(self, times=1):
        for _ in range(times):
            mixing = {site: self.topology.mixing(site, self.exchanges) for site in self.topology.sites}
            composed = {site: self.algorithm.compose(self.states[site], mixing[site], site) for site in mixing}
            for me, (kept, _) in composed.items():
                inbox = {other: composed[other][1][me] for other in self.topology.senders(me, self.exchanges)}
                self.states[me] = self.algorithm.absorb(kept, inbox, mixing[me], me)
            self.exchanges += 1

    def end_round(self):
        self.states = {site: self.algorithm.end_round(state) for site, state in self.states.items()}

    def train(self, step):
        """Let ``step(place, params)`` be every site's local phase."""
        for place, (site, state) in enumerate(self.states.items()):
            trained = step(place, self.algorithm.estimate(state))
            self.states[site] = self.algorithm.replace(state, trained)

    def run(self, step, rounds):
        for index in range(rounds):
            self.train(step)
            last = index == rounds - 1
            self.exchange(self.topology.final_exchanges if last else self.topology.exchanges_per_round)
            self.end_round()


def site_names(count):
    """Names that sort as they count."""
    return [SiteId(f"site-{index:03d}") for index in range(count)]


def random_params(seed):
    """A small network: a body, a scalar, and an output layer of three rows."""
    generator = torch.Generator().manual_seed(seed)
    return {
        "body": torch.randn(7, 5, generator=generator),
        "scale": torch.randn((), generator=generator),
        "head.weight": torch.randn(3, 4, 1, 1, 1, generator=generator),
        "head.bias": torch.randn(3, generator=generator),
    }


def case_mass(body, rows):
    """Cases of a site, and how many of them are annotated for each of the three structures."""
    return Mass(float(body), dict.fromkeys(("head.weight", "head.bias"), tuple(float(cases) for cases in rows)))


@pytest.fixture(scope="session")
def lockstep():
    return Lockstep


@pytest.fixture(scope="session")
def sites_named():
    return site_names


@pytest.fixture(scope="session")
def params_of():
    return random_params


@pytest.fixture(scope="session")
def mass_of_cases():
    return case_mass
