"""From a run to the parts of its federation: sites, algorithm, topology, masses, trainers.

All arms run on the same machinery, so that they differ in nothing but what the arm says: a pooled run is a federation
of one site that holds every case, local-only one whose sites never speak, FedAvg one over a star.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from gossamer.data.prepared import PreparedCase
from gossamer.errors import NoTrainingCaseError
from gossamer.gossip import GossipAlgorithm, Mass, Params, SiteId, Topology, build_gossip
from gossamer.gossip.alone import Alone
from gossamer.gossip.dpsgd import DPSGD
from gossamer.gossip.registry import GUARDS
from gossamer.learn.mass import mass_of
from gossamer.learn.recipe import Recipe
from gossamer.learn.trainer import SegmentationTrainer
from gossamer.nets import build_network, output_rows, parameters_of
from gossamer.node.agreement import Agreement
from gossamer.study.jobs import Job
from gossamer.study.workspace import Workspace

UNNAMED_FEDERATION = "0" * 64


@dataclass(frozen=True)
class Federation:
    """What a simulation needs to know of a run.

    Attributes:
        algorithm: how parameters are averaged.
        topology: who exchanges with whom.
        params: where every site starts.
        masses: m_i by site.
        trainers: by site.
    """

    algorithm: GossipAlgorithm
    topology: Topology
    params: Params
    masses: Mapping[SiteId, Mass]
    trainers: Mapping[SiteId, SegmentationTrainer]


def federation_of(job: Job, workspace: Workspace, algorithms: Mapping[str, GossipAlgorithm]) -> Federation:
    """Assemble a run.

    Args:
        job: the run.
        workspace: the study it belongs to.
        algorithms: own algorithms, by the name that arms call them.

    Raises:
        ScheduleError: algorithm and topology do not go together, or are unknown.
    """
    network = build_network(workspace.plan, job.seed)
    rows = output_rows(network) if job.arm.label_aware else ()
    cases = {SiteId(name): _training_cases(workspace, hospitals) for name, hospitals in job.learners.items()}
    algorithm, topology = _gossip(job, tuple(cases), algorithms)
    recipe = recipe_of(job, workspace.study.recipe)
    return Federation(
        algorithm=algorithm,
        topology=topology,
        params=parameters_of(network),
        masses={site: mass_of(own, rows) for site, own in cases.items()},
        trainers={
            site: SegmentationTrainer(own, workspace.plan, recipe, seed=job.seed, site=site, total_steps=job.steps)
            for site, own in cases.items()
        },
    )


def agreement_of(
    job: Job,
    algorithm: GossipAlgorithm,
    topology: Topology,
    masses: Mapping[SiteId, Mass] | None = None,
    sha256: str = UNNAMED_FEDERATION,
) -> Agreement:
    """What the sites of a run agree on; without masses, without the arm's guard.

    Raises:
        ScheduleError: the algorithm does not go with the topology, the pace or the number of rounds.
    """
    guard = GUARDS[job.arm.guard]() if job.arm.guard and masses else None
    return Agreement(sha256, algorithm, topology, job.rounds, pace=job.arm.pace, guard=guard, masses=masses or {})


def require_gossip(job: Job, algorithms: Mapping[str, GossipAlgorithm]) -> None:
    """Refuse a run that could not begin: said before the first hour of training, not after it.

    Raises:
        ScheduleError: algorithm, topology and pace do not go together, or are unknown.
    """
    agreement_of(job, *_gossip(job, tuple(SiteId(name) for name in job.learners), algorithms))


def recipe_of(job: Job, recipe: Recipe) -> Recipe:
    """The study's recipe with what the run's arm and schedule change."""
    return replace(
        recipe,
        batch_size=job.schedule.batch_size,
        learning_rate=job.schedule.learning_rate or recipe.learning_rate,
        proximal_mu=job.arm.proximal_mu,
    )


def _gossip(
    job: Job, sites: tuple[SiteId, ...], algorithms: Mapping[str, GossipAlgorithm]
) -> tuple[GossipAlgorithm, Topology]:
    if job.arm.kind != "federated":
        return DPSGD(), Alone(sites)
    named = algorithms.get(job.arm.algorithm, job.arm.algorithm)
    asynchronous = job.arm.pace == "asynchronous"
    return build_gossip(named, sites, job.seed, topology=job.arm.topology, asynchronous=asynchronous)


def _training_cases(workspace: Workspace, hospitals: tuple[str, ...]) -> list[PreparedCase]:
    cases = [case for hospital in hospitals for case in workspace.prepared[hospital].split("train")]
    if not cases:
        raise NoTrainingCaseError(
            f"site {', '.join(hospitals)}: wanted at least one prepared training case; found none, all were set aside; "
            "the report of 'gossamer import' says why"
        )
    return cases
