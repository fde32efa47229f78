"""How much a site counts in a weighted mean: by its training cases, and per structure by those drawn for it."""

from __future__ import annotations

from collections.abc import Sequence

from gossamer.data.fingerprint import Fingerprint
from gossamer.data.prepared import PreparedCase
from gossamer.gossip.algorithm import Mass


def mass_of(cases: Sequence[PreparedCase], output_rows: Sequence[str]) -> Mass:
    """A site's own mass.

    Args:
        cases: the site's training cases.
        output_rows: tensors with a row per structure (``nets.output_rows``): row c counts the cases annotated for c.
    """
    annotated = tuple(float(sum(drawn)) for drawn in zip(*(case.annotated for case in cases), strict=True))
    return Mass(float(len(cases)), dict.fromkeys(output_rows, annotated))


def mass_told(fingerprint: Fingerprint, structures: Sequence[str], output_rows: Sequence[str]) -> Mass:
    """The same by what a site tells of its cases, so that its shares say nothing that its fingerprint does not.

    Args:
        fingerprint: of the training cases; counts that the site does not tell are 0.
        structures: of the plan.
        output_rows: as for ``mass_of``.
    """
    annotated = tuple(float(fingerprint.annotated.get(name, 0)) for name in structures)
    return Mass(float(fingerprint.cases), dict.fromkeys(output_rows, annotated))
