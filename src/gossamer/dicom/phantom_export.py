"""The synthetic cohort as hospitals would export it: CT series and structure sets, in names of their own.

Law: each hospital calls its organs as it likes, one by the standard, one in German, one in its own English, one in
French; what is not drawn in a patient is not there. The same seed gives the same CTs and contours; structure sets are
new objects each time, as ``write_structure_set`` has it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gossamer import __version__
from gossamer.atomic import storage_error
from gossamer.data.frame import Frame
from gossamer.data.phantom import HOSPITALS, Region, draw_patient
from gossamer.dicom.files.headers import read_headers
from gossamer.dicom.outgoing.made_by import MadeBy
from gossamer.dicom.outgoing.reference import reference_of
from gossamer.dicom.outgoing.write_structure_set import Mask, write_structure_set
from gossamer.dicom.series.find import find_series
from gossamer.dicom.series.stack import SliceStack
from gossamer.dicom.series.write_ct import FILES, MadeUpPatient, write_ct_series

DRAWN = datetime(2026, 1, 1, 12)
"""Structure Set Date and Time of all of them."""

BODY_PARTS: Mapping[Region, str] = {"abdomen": "ABDOMEN", "head-neck": "HEADNECK"}
"""Body Part Examined."""

OWN_NAMES: Mapping[str, Mapping[str, str]] = {
    "A": {},
    "B": {
        "Liver": "Leber",
        "Kidney_L": "Niere li",
        "Kidney_R": "Niere re",
        "Spleen": "Milz",
        "Stomach": "Magen",
        "SpinalCord": "Myelon",
        "Brainstem": "Hirnstamm",
        "Parotid_L": "Parotis li",
        "Parotid_R": "Parotis re",
        "Bone_Mandible": "Unterkiefer",
        "Larynx": "Kehlkopf",
        "Esophagus": "Speiseroehre",
    },
    "C": {
        "Liver": "liver",
        "Kidney_L": "L kidney",
        "Kidney_R": "R kidney",
        "Spleen": "spleen",
        "Stomach": "stomach",
        "SpinalCord": "Cord",
        "Brainstem": "Brain Stem",
        "Parotid_L": "Lt Parotid",
        "Parotid_R": "Rt Parotid",
        "Bone_Mandible": "mandible",
        "Larynx": "larynx",
        "Esophagus": "Oesophagus",
    },
    "D": {
        "Liver": "Foie",
        "Kidney_L": "Rein G",
        "Kidney_R": "Rein D",
        "Spleen": "Rate",
        "Stomach": "Estomac",
        "SpinalCord": "Moelle",
        "Brainstem": "Tronc cerebral",
        "Parotid_L": "Parotide G",
        "Parotid_R": "Parotide D",
        "Bone_Mandible": "Mandibule",
        "Larynx": "Larynx",
        "Esophagus": "Oesophage",
    },
}
"""By hospital and standard name."""


def export_cohort(
    folder: Path, *, region: Region, patients: int, seed: int = 0, on_patient: Callable[[], None] = lambda: None
) -> list[Path]:
    """Write DICOM files of the cohort's hospitals.

    Args:
        folder: gets ``<hospital>/<patient>/`` with a file for each slice and a structure set; what a former export left
            there is replaced.
        region: of the body.
        patients: of each hospital.
        seed: of the cohort.
        on_patient: called when one is there.

    Returns:
        The hospitals' folders.

    Raises:
        StorageError: a file cannot be written.
    """
    homes = []
    for h, hospital in enumerate(HOSPITALS):
        for number in range(patients):
            patient = draw_patient(region, hospital, (seed, h, number))
            drawn = {name: patient.masks[name] for name in patient.annotated}
            who = MadeUpPatient(
                f"{hospital.name}-{seed}-{number:03d}", f"Phantom^{hospital.name}{number:03d}", BODY_PARTS[region]
            )
            own = OWN_NAMES[hospital.name]
            _write(
                folder / hospital.name / f"patient-{number + 1:03d}",
                patient.image.voxels.astype(np.int16),
                patient.image.frame,
                {own.get(name, name): mask for name, mask in drawn.items() if mask.any()},
                who,
            )
            on_patient()
        homes.append(folder / hospital.name)
    return homes


def _write(
    folder: Path, voxels: NDArray[np.int16], frame: Frame, masks: Mapping[str, Mask], who: MadeUpPatient
) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for former in folder.glob(FILES):  # another patient's, perhaps, and more of them
            former.unlink()
        write_ct_series(folder, voxels, _stack(frame), who)
    except OSError as error:
        raise storage_error(error, "wanted to write a synthetic CT") from error
    [series] = find_series(read_headers(folder).headers).series
    made_by = MadeBy("Gossamer", __version__, "synthetic patient")
    write_structure_set(folder / "RS.dcm", masks, reference_of(series), label="Plan", made_by=made_by, now=DRAWN)


def _stack(frame: Frame) -> SliceStack:
    """Axial slices of a canonical frame, from the feet up."""
    _, rows, columns = frame.shape
    slice_step, row_step, column_step, first = frame.world_from_voxel[:3].T
    return SliceStack(rows, columns, first + np.arange(frame.shape[0])[:, None] * slice_step, row_step, column_step)
