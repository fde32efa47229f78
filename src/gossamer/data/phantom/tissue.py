"""How bright tissue is: means in HU by contrast phase, and how they vary between patients.

Plain and portal venous means follow samples measured in public CTs: portal venous in three patients (Colorectal Liver
Metastases, CC BY 4.0; CHAOS), plain in two (example of TotalSegmentator, Apache-2.0; a public pelvic CT). The arterial
means, and spreads between patients, are of the size textbooks give; no sample here supports them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gossamer.data.phantom.hospital import Phase

MEAN_HU: Mapping[str, tuple[float, float, float, float]] = {
    # tissue: plain, arterial, portal, standard deviation between patients
    "skin": (20, 30, 35, 5),
    "fat": (-103, -101, -99, 4),
    "muscle": (52, 60, 66, 4),
    "liver": (50, 72, 120, 8),
    "liver vein": (40, 75, 160, 8),
    "spleen": (38, 120, 116, 8),
    "renal cortex": (30, 190, 206, 12),
    "renal medulla": (26, 90, 192, 12),
    "renal sinus": (-30, -20, -10, 15),
    "aorta": (43, 290, 155, 14),
    "vein": (42, 95, 114, 10),
    "gallbladder": (8, 10, 18, 5),
    "pancreas": (35, 95, 95, 8),
    "gut wall": (40, 75, 85, 8),
    "gut fluid": (12, 12, 15, 6),
    "stool": (30, 30, 30, 15),
    "heart": (42, 190, 150, 10),
    "lung": (-830, -825, -820, 25),
    "spongy bone": (150, 160, 175, 30),
    "hard bone": (480, 490, 500, 60),
    "disc": (80, 82, 85, 6),
    "cartilage": (95, 97, 100, 10),
    "canal": (12, 14, 16, 4),
    "cord": (36, 38, 40, 3),
    "brain": (34, 36, 38, 2),
    "brain white": (28, 30, 31, 2),
    "csf": (8, 8, 8, 2),
    "parotid": (-6, 10, 14, 22),
    "gland": (45, 70, 90, 10),
    "thyroid": (100, 160, 150, 15),
    "skull": (900, 900, 900, 90),
    "tooth": (1700, 1700, 1700, 250),
    "eye": (10, 10, 12, 3),
    "lens": (75, 75, 75, 5),
}


def draw_tissue(phase: Phase, rng: np.random.Generator) -> dict[str, float]:
    """HU of one patient's tissue.

    Args:
        phase: of the contrast agent.
        rng: the patient.
    """
    column = ("plain", "arterial", "portal").index(phase)
    return {
        tissue: float(row[column] + row[3] * np.clip(rng.standard_normal(), -2, 2)) for tissue, row in MEAN_HU.items()
    }
