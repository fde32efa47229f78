"""Clocks and lines as hospitals have them, measured in the Federated Tumor Segmentation (FeTS) initiative.

There a site took 1.8 to 20.7 s to train on one patient, 20 to 431 s to upload a model and 13 to 217 s to download one.
Source: Pati et al., "Federated learning enables big data for rare cancer boundary detection", Nat. Commun. 2022, and
the timings published with it.

The sites of a simulation are spread evenly over these ranges, on a logarithmic scale: the first by name trains
fastest, and has the slowest line, for the two have nothing to do with each other in a hospital.
"""

from __future__ import annotations

from collections.abc import Collection

from gossamer.gossip.topology import SiteId
from gossamer.runtime.network import Line, Network

TRAINING_S = (1.8, 20.7)
UPLOAD_S = (20.0, 431.0)
DOWNLOAD_S = (13.0, 217.0)

ROUND_TRIP_S = 0.05
"""Between hospitals on one continent; next to a model's transfer it is nothing."""


def fets_step_s(sites: Collection[SiteId]) -> dict[SiteId, float]:
    """Seconds that an optimiser step takes at each site: a step of one patch is a patient."""
    return dict(zip(sorted(sites), _spread(TRAINING_S, len(sites)), strict=True))


def fets_network(sites: Collection[SiteId], model_bytes: int) -> Network:
    """Lines over which a model of this size takes as long as FeTS' did."""
    slowest_first = sorted(sites)[::-1]
    return Network(
        Line(delay_s=ROUND_TRIP_S / 2),
        upload_bytes_per_s=_speeds(slowest_first, UPLOAD_S, model_bytes),
        download_bytes_per_s=_speeds(slowest_first, DOWNLOAD_S, model_bytes),
    )


def _speeds(sites: list[SiteId], range_s: tuple[float, float], model_bytes: int) -> dict[SiteId, float]:
    return {site: model_bytes / time_s for site, time_s in zip(sites, _spread(range_s, len(sites)), strict=True)}


def _spread(range_s: tuple[float, float], count: int) -> list[float]:
    """``count`` times from the shortest to the longest, each the same factor longer than the one before."""
    low, high = range_s
    return [low * (high / low) ** (k / max(1, count - 1)) for k in range(count)]
