"""What planning systems, viewers and archives are known to reject in a structure set, as rules for a written file.

Law
    1. Each rule names whose it is: a section of the standard (DICOM PS3.3 or PS3.5), or systems that were seen to
       refuse a file for it.
    2. A fault says what was wanted and found, and where: by a ROI Number and a contour's place. No text of the file is
       repeated, since names may be persons'.
    3. No rule needs another: each is right about a file that breaks all others, also one that nobody wrote here.

Which system does what is known from reports of their users (issues of open-source projects, forums), not from vendors;
that a file has no fault does not promise that a system opens it.
"""

from __future__ import annotations

from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from gossamer.dicom.files.open_file import foreign_errors_mapped
from gossamer.dicom.outgoing.planning_rules.of_contours import OF_CONTOURS
from gossamer.dicom.outgoing.planning_rules.of_file import OF_FILE
from gossamer.dicom.outgoing.planning_rules.of_rois import OF_ROIS

RULES = (*OF_FILE, *OF_ROIS, *OF_CONTOURS)
"""All rules, from the file down to its points."""


def faults_of(path: Path) -> tuple[str, ...]:
    """What is wrong with a structure set for the systems that are known.

    Returns:
        A line a fault, with the rule and its source; () if none is known.

    Raises:
        UnreadableImageError: it is no DICOM file, or damaged.
    """
    with foreign_errors_mapped():
        return faults_in(pydicom.dcmread(path))


def faults_in(file: Dataset) -> tuple[str, ...]:
    """As ``faults_of``, of a data set that was read and not changed since."""
    return tuple(f"{rule.name}: {fault} ({rule.source})" for rule in RULES for fault in rule.faults(file))
