"""Drivers that perform what nodes decide: the simulation of a whole federation on a virtual clock."""

from gossamer.runtime.faults import FaultPlan, Outage, PowerCut, random_power_cuts
from gossamer.runtime.fets import fets_network, fets_step_s
from gossamer.runtime.network import Line, Network
from gossamer.runtime.rounds import RoundReport
from gossamer.runtime.simulation import Simulation, SimulationResult

__all__ = [
    "FaultPlan",
    "Line",
    "Network",
    "Outage",
    "PowerCut",
    "RoundReport",
    "Simulation",
    "SimulationResult",
    "fets_network",
    "fets_step_s",
    "random_power_cuts",
]
