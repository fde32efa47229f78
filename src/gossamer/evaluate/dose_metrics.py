"""What is read off a dose-volume histogram, in the field's notation.

==========  ======================================================  ====
text        what                                                    unit
==========  ======================================================  ====
D_mean      mean dose                                               Gy
D_max       dose of the hottest part; of no use in a plan, where    Gy
            D0.03cc stands for it
D_min       dose of the coldest part                                Gy
D0.03cc     dose that the hottest 0.03 cm³ get at least             Gy
D95%        dose that the hottest 95 % of the volume get at least   Gy
V20Gy       share of the volume that gets at least 20 Gy            %
V20Gycc     volume that gets at least 20 Gy                         cc
==========  ======================================================  ====

The unit may stand behind, as in AAPM TG-263: ``D95%[Gy]``, ``V20Gy[%]``, ``V20Gy[cc]``; ``mean`` is ``D_mean``.

Source: Mayer et al., "AAPM TG-263", 2018, chapter 9 (DVH metrics); ICRU Report 91, 2017 (near-maximum dose).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from gossamer.errors import UnknownMetricError

Unit = Literal["Gy", "%", "cc"]

NAME_OF_UNIT: dict[Unit, str] = {"Gy": "gy", "%": "percent", "cc": "cc"}
"""As it ends the names of columns."""

_WHOLE = re.compile(r"d?_?(mean|max|min)(\[gy\])?")
_DOSE = re.compile(r"d_?(\d+(?:\.\d+)?)(cc|%)(\[gy\])?")
_VOLUME = re.compile(r"v_?(\d+(?:\.\d+)?)gy(?:(\[%\]|%)|(\[cc\]|cc))?")


@dataclass(frozen=True)
class DoseMetric:
    """One number of a dose-volume histogram.

    Attributes:
        name: as above, without brackets.
        kind: what is read off.
        at: the volume in cc or %, or the dose in Gy; 0 of the mean.
        unit: of the result.
    """

    name: str
    kind: Literal["mean", "dose at cc", "dose at %", "volume at Gy"]
    at: float
    unit: Unit

    def column(self, which: str) -> str:
        """Name of a column or field with one of its values: its own name, which value, and the unit."""
        return f"{self.name}_{which}_{NAME_OF_UNIT[self.unit]}"


_OF_ALL = {
    "mean": DoseMetric("D_mean", "mean", 0.0, "Gy"),
    "max": DoseMetric("D_max", "dose at %", 0.0, "Gy"),
    "min": DoseMetric("D_min", "dose at %", 100.0, "Gy"),
}


def parse_dose_metrics(texts: Iterable[str]) -> tuple[DoseMetric, ...]:
    """Parse several, each taken once.

    Raises:
        UnknownMetricError: a text is none of the above.
    """
    return tuple(dict.fromkeys(parse_dose_metric(text) for text in texts))


def parse_dose_metric(text: str) -> DoseMetric:
    """Parse one, in capitals or not.

    Raises:
        UnknownMetricError: it is none of the above, or asks for no volume, or for more than all of it.
    """
    plain = text.strip().lower().replace(" ", "")
    if whole := _WHOLE.fullmatch(plain):
        return _OF_ALL[whole[1]]
    if (dose := _DOSE.fullmatch(plain)) and float(dose[1]) > 0 and (dose[2] == "cc" or float(dose[1]) <= 100):
        at = float(dose[1])
        return DoseMetric(f"D{at:g}{dose[2]}", "dose at cc" if dose[2] == "cc" else "dose at %", at, "Gy")
    if volume := _VOLUME.fullmatch(plain):
        at, cc = float(volume[1]), volume[2] is None and volume[3] is not None
        return DoseMetric(f"V{at:g}Gy{'cc' if cc else ''}", "volume at Gy", at, "cc" if cc else "%")
    raise UnknownMetricError(
        f"wanted a number of a dose-volume histogram; found {text!r}; write D_mean, D_max, D_min, D0.03cc, D95%, V20Gy "
        "(in %) or V20Gycc"
    )
