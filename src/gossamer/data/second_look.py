"""What a person should look at in a case before anybody trains on it.

Notes, never refusals: each says what was seen, and leaves the case as it is. One place for all of them, so that an
import and ``gossamer qa`` say the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from gossamer.data.case_folder import IMAGE_FILE
from gossamer.data.description import Case
from gossamer.data.image import Image
from gossamer.data.overlaps import overlapping
from gossamer.data.plausible import implausible


def second_look(masks: Mapping[str, NDArray[np.bool_]], image: Image) -> list[str]:
    """What is strange about a case's structures.

    Args:
        masks: by standard name bool [z, y, x], in canonical orientation; of what was drawn.
        image: the CT they were drawn on.

    Returns:
        A sentence for each thing to look at; [] if all is well.
    """
    return [*overlapping(masks), *implausible(masks, image)]


def same_ct(cases: Iterable[Case]) -> tuple[tuple[Case, ...], ...]:
    """Cases whose CTs are equal to the voxel: most often one patient under two numbers.

    Args:
        cases: of one dataset or of several.

    Returns:
        Groups of two or more, in the order of their first case.
    """
    by_hash: dict[str, list[Case]] = {}
    for case in cases:
        if IMAGE_FILE in case.sha256:
            by_hash.setdefault(case.sha256[IMAGE_FILE], []).append(case)
    return tuple(tuple(same) for same in by_hash.values() if len(same) > 1)
