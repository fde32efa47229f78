import numpy as np
import pytest

from gossamer.data.body import find_body
from gossamer.data.hu_scale import scale_faults
from gossamer.data.image import Image


def faults(patient, rule):
    hu = rule(patient.image.voxels.astype(np.float32))
    return list(scale_faults(find_body(Image(np.asarray(hu, dtype=np.float32), patient.image.frame))))


def test_a_ct_in_hu_has_no_fault(lying_patient):
    assert faults(lying_patient, lambda hu: hu) == []


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        (lambda hu: hu + 1024, "air near -1000"),
        (lambda hu: hu - 1024, "a patient"),
        (lambda hu: 0.5 * (hu + 1024) - 1024, "fat or muscle"),
        (lambda hu: hu * 2, "air near -1000"),
        (lambda hu: 2 * (hu + 1024) - 1024, "most of the body between -200 and 200 HU"),
        (lambda hu: hu / 1000, "air near -1000"),
        (lambda hu: (hu - hu.min()) / (hu.max() - hu.min()), "air near -1000"),
        (lambda hu: 255 * (hu.clip(-160, 240) + 160) / 400, "air near -1000"),
        (lambda hu: np.interp(hu, (-1000, -100, 40, 700), (0, 900, 450, 50)), "air near -1000"),
        (lambda hu: hu.clip(None, 100), "bone above 180 HU"),
        (lambda hu: np.full_like(hu, -1000), "a patient"),
    ],
)
def test_another_scale_is_said_with_what_was_wanted(lying_patient, rule, found):
    assert any(found in fault for fault in faults(lying_patient, rule))


def test_numbers_found_are_the_images_own(lying_patient):
    [first, *_] = faults(lying_patient, lambda hu: hu.clip(-1000, 900) + 1024)
    assert "found none (values from 24 to " in first
