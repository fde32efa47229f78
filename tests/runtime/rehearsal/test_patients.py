"""Synthetic patients have what the federation asks for, whatever the phantom draws."""

from gossamer.runtime.federation_file import FederationSettings
from gossamer.runtime.rehearsal.derived import usual_plan
from gossamer.runtime.rehearsal.patients import PATIENTS, synthetic_cases

STRUCTURES = ("Prostate", "Bladder", "Rectum", "Femur_Head_L", "Femur_Head_R", "Liver", "Heart", "Lung_L", "Lung_R")


def test_every_structure_of_the_federation_is_drawn_in_every_patient(tmp_path):
    settings = FederationSettings(title="Pelvis", structures=STRUCTURES, rounds=1, local_steps=1)
    plan = usual_plan(settings)
    cases = synthetic_cases(plan, "unito", tmp_path)
    assert len(cases) == PATIENTS
    for case in cases:
        assert case.annotated == (True,) * len(STRUCTURES)
        assert min(case.voxels) > 0
        assert case.labels.shape == case.image_hu.shape == case.shape
        assert case.split == "train"


def test_two_sites_have_other_patients(tmp_path):
    plan = usual_plan(FederationSettings(title="One", structures=("Brainstem",), rounds=1, local_steps=1))
    first, second = (synthetic_cases(plan, site, tmp_path / site)[0] for site in ("unito", "leuven"))
    assert first.image_hu.tobytes() != second.image_hu.tobytes()
