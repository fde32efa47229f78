"""Clocks and lines of a simulated federation, by name.

``fets``: as hospitals have them, measured in the Federated Tumor Segmentation (FeTS) initiative. There a site took 1.8
to 20.7 s to train on one patient, 20 to 431 s to upload a model and 13 to 217 s to download one. The sites of a
simulation are spread evenly over these ranges, on a logarithmic scale: the first by name trains fastest, and has the
slowest line, for the two have nothing to do with each other in a hospital.
Source: Pati et al., "Federated learning enables big data for rare cancer boundary detection", Nat. Commun. 2022, and
the timings published with it.

``alike``: as in one network, where nobody has to wait for long. Steps differ by a few per cent, so that sites at their
own pace do not stay in step.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from gossamer.gossip.choices import MachinesName
from gossamer.gossip.topology import SiteId
from gossamer.runtime.network import Line, Network

Range = tuple[float, float]

ROUND_TRIP_S = 0.05
"""Between hospitals on one continent; next to a model's transfer it is nothing."""


@dataclass(frozen=True)
class Machines:
    """Those of all sites, each from the shortest to the longest time.

    Attributes:
        training_s: an optimiser step; a step of one patch is a patient.
        upload_s: a model leaves.
        download_s: a model comes.
    """

    training_s: Range
    upload_s: Range
    download_s: Range

    def step_s(self, sites: Collection[SiteId]) -> dict[SiteId, float]:
        """Seconds that an optimiser step takes at each site."""
        return dict(zip(sorted(sites), _spread(self.training_s, len(sites)), strict=True))

    def network(self, sites: Collection[SiteId], model_bytes: int) -> Network:
        """Lines over which a model of this size takes so long."""
        slowest_first = sorted(sites)[::-1]
        return Network(
            Line(delay_s=ROUND_TRIP_S / 2),
            upload_bytes_per_s=_speeds(slowest_first, self.upload_s, model_bytes),
            download_bytes_per_s=_speeds(slowest_first, self.download_s, model_bytes),
        )


FETS = Machines(training_s=(1.8, 20.7), upload_s=(20.0, 431.0), download_s=(13.0, 217.0))

ALIKE = Machines(training_s=(1.0, 1.06), upload_s=(0.1, 0.1), download_s=(0.1, 0.1))

MACHINES: Mapping[MachinesName, Machines] = {"fets": FETS, "alike": ALIKE}


def _speeds(sites: list[SiteId], range_s: Range, model_bytes: int) -> dict[SiteId, float]:
    return {site: model_bytes / time_s for site, time_s in zip(sites, _spread(range_s, len(sites)), strict=True)}


def _spread(range_s: Range, count: int) -> list[float]:
    """``count`` times from the shortest to the longest, each the same factor longer than the one before."""
    low, high = range_s
    return [low * (high / low) ** (k / max(1, count - 1)) for k in range(count)]
