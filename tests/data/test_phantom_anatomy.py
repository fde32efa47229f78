"""Synthetic anatomy against statistics of real patients."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.ndimage import binary_erosion, label

from gossamer.data.phantom import Habit, Hospital, Phase, Region, Scanner, draw_patient

# Volumes in ml: 5th percentile, median, 95th percentile of real patients whose organ is whole in the scan.
# Abdomen: training labels of BTCV, 30 patients. Head and neck: contours of OpenKBP, 92 to 266 an organ;
# the cord there is longer than what is drawn here, so its lower bound is that of 35 patients of the TCIA set
# contoured by oncologists.
VOLUME_ML = {
    "Liver": (1100.4, 1659.6, 2507.5),
    "Kidney_R": (90.3, 151.9, 224.2),
    "Kidney_L": (81.4, 161.3, 250.3),
    "Spleen": (83.3, 224.5, 417.5),
    "Stomach": (149.4, 429.6, 1057.9),
    "Brainstem": (10.7, 25.0, 34.6),
    "SpinalCord": (10.8, 18.9, 44.0),
    "Parotid_R": (13.4, 25.7, 46.1),
    "Parotid_L": (12.4, 25.5, 45.3),
    "Esophagus": (5.8, 11.7, 29.0),
    "Larynx": (4.3, 22.7, 57.4),
    "Bone_Mandible": (39.8, 63.6, 92.3),
}

# Mean HU inside the organ. Portal: three patients, plain: two.
HU_MEANS = {
    "portal": {"Liver": 127.2, "Spleen": 116.5, "Kidney_L": 199.8, "Kidney_R": 199.8},
    "plain": {"Liver": 54.8, "Spleen": 32.4, "Kidney_L": 29.3, "Kidney_R": 18.9},
}
HU_TOLERANCE = 15.0

# Centroid relative to the liver's in mm: to the right, to the front, to the head; mean and standard deviation (BTCV).
FROM_LIVER_MM = {
    "Spleen": ((-166, -54, 0), (21, 20, 23)),
    "Kidney_R": ((1, -48, -69), (15, 16, 20)),
    "Kidney_L": ((-138, -50, -60), (17, 16, 28)),
    "Stomach": ((-113, 20, -3), (18, 19, 13)),
}

NEUTRAL = Habit(wobble_mm=0.0)


def _patients(region: Region, phase: Phase, count: int):
    scanner = Scanner(
        spacing_mm=(4.0, 3.0, 3.0),
        field_of_view_mm=500.0,
        phase=phase,
        noise_hu=0.0,
        reach_mm={"abdomen": (-250.0, 160.0), "head-neck": (-220.0, 148.0)},
        reach_sd_mm=0.0,
    )
    return [draw_patient(region, Hospital("X", scanner, NEUTRAL), seed) for seed in range(count)]


@pytest.fixture(scope="module")
def portal():
    return _patients("abdomen", "portal", 8)


@pytest.fixture(scope="module")
def plain():
    return _patients("abdomen", "plain", 5)


@pytest.fixture(scope="module")
def heads():
    return _patients("head-neck", "plain", 8)


def _volumes_ml(patients, name):
    return np.array([p.masks[name].sum() * np.prod(p.image.frame.spacing_mm) / 1000 for p in patients])


def _centroid_xyz(patient, name):
    return patient.image.frame.world_from_index(np.argwhere(patient.masks[name]).mean(axis=0))


@pytest.mark.parametrize("name", ["Liver", "Kidney_R", "Kidney_L", "Spleen", "Stomach"])
def test_abdominal_organs_have_the_volumes_of_real_ones(portal, name):
    low, median, high = VOLUME_ML[name]
    volumes = _volumes_ml(portal, name)
    assert (volumes > low).all()
    assert (volumes < high).all()
    assert np.median(volumes) == pytest.approx(median, rel=0.35)
    assert volumes.std() > 0.08 * median


@pytest.mark.parametrize(
    "name", ["Brainstem", "SpinalCord", "Parotid_R", "Parotid_L", "Esophagus", "Larynx", "Bone_Mandible"]
)
def test_head_and_neck_organs_have_the_volumes_of_real_ones(heads, name):
    low, median, high = VOLUME_ML[name]
    volumes = _volumes_ml(heads, name)
    assert (volumes > low).all()
    assert (volumes < high).all()
    assert np.median(volumes) == pytest.approx(median, rel=0.35)


@pytest.mark.parametrize("phase", ["portal", "plain"])
def test_organs_are_as_bright_as_real_ones_in_each_phase(phase, request):
    patients = request.getfixturevalue(phase)
    for name, real in HU_MEANS[phase].items():
        inner = [p.image.voxels[binary_erosion(p.masks[name], iterations=2)].mean() for p in patients]
        assert np.mean(inner) == pytest.approx(real, abs=HU_TOLERANCE), name


def test_organs_lie_where_they_do_in_real_patients(portal):
    for name, (mean, deviation) in FROM_LIVER_MM.items():
        offsets = [_centroid_xyz(p, name) - _centroid_xyz(p, "Liver") for p in portal]
        right_front_head = np.mean(offsets, axis=0) * (-1, -1, 1)
        assert (np.abs(right_front_head - mean) < deviation).all(), name


def test_each_organ_lies_on_its_side(portal, heads):
    for patient in portal:
        x = {name: _centroid_xyz(patient, name)[0] for name in patient.masks}
        assert x["Liver"] < x["SpinalCord"] < x["Spleen"]
        assert x["Kidney_R"] < x["SpinalCord"] < x["Kidney_L"]
    for patient in heads:
        assert _centroid_xyz(patient, "Parotid_R")[0] < _centroid_xyz(patient, "Parotid_L")[0] - 80


def test_organs_do_not_overlap(portal, heads):
    for patient in (*portal, *heads):
        for a, b in combinations(patient.masks, 2):
            assert not (patient.masks[a] & patient.masks[b]).any(), (a, b)


def test_every_organ_is_whole_in_a_large_field_of_view(portal, heads):
    for patient in (*portal, *heads):
        assert patient.complete == patient.annotated == tuple(patient.masks)


def test_an_organ_is_of_one_piece(heads, portal):
    for patient in (*portal, *heads):
        for name, mask in patient.masks.items():
            pieces, _ = label(mask, np.ones((3, 3, 3)))
            assert np.bincount(pieces.ravel())[1:].max() > 0.9 * mask.sum(), name


def test_patients_differ(portal):
    livers = [tuple(_centroid_xyz(p, "Liver").round(1)) for p in portal]
    assert len(set(livers)) == len(livers)
