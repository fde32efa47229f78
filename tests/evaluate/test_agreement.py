"""Our metrics against other implementations, on noise, on blobs and on two readers of real patients."""

import csv
import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
import torch
from monai.metrics import compute_surface_dice
from scipy.ndimage import gaussian_filter

from gossamer.evaluate.metrics import dice, hd95, surface_dice

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import surface_distance

SHARED = Path(__file__).parents[3] / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data (real patients), which is absent")

ORGANS = {1: "Brainstem", 2: "SpinalCord", 3: "RightParotid", 4: "LeftParotid", 7: "Mandible"}


def dice_of_simpleitk(prediction, reference):
    measures = SimpleITK.LabelOverlapMeasuresImageFilter()
    measures.Execute(*(SimpleITK.GetImageFromArray(mask.astype(np.uint8)) for mask in (reference, prediction)))
    return measures.GetDiceCoefficient()


def surface_dice_of_monai(prediction, reference, spacing, tolerance):
    pair = (torch.from_numpy(mask)[None, None] for mask in (prediction, reference))
    score = compute_surface_dice(*pair, [tolerance], include_background=True, spacing=spacing, use_subvoxels=True)
    return score.item()


@pytest.fixture(autouse=True)
def _others_use_names_that_are_going_away():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", message=".*always_return_as_numpy", category=FutureWarning)
        yield


def assert_all_agree(prediction, reference, spacing):
    theirs = surface_distance.compute_surface_distances(reference, prediction, spacing)
    assert dice(prediction, reference) == pytest.approx(dice_of_simpleitk(prediction, reference), abs=1e-6)
    for tolerance in (0.0, 1.2, 2.9):
        ours = surface_dice(prediction, reference, spacing, tolerance)
        google = surface_distance.compute_surface_dice_at_tolerance(theirs, tolerance)
        assert ours == pytest.approx(google, abs=1e-6)
        assert ours == pytest.approx(surface_dice_of_monai(prediction, reference, spacing, tolerance), abs=1e-6)
    google = surface_distance.compute_robust_hausdorff(theirs, 95.0)
    assert hd95(prediction, reference, spacing) == pytest.approx(google, abs=1e-6)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (3.0, 0.977, 0.977), (2.5, 1.1, 0.7)])
@pytest.mark.parametrize("blur", [0.0, 1.0, 3.0])
def test_random_masks_agree_with_three_other_implementations(spacing, blur):
    rng = np.random.default_rng(int(10 * blur))
    fields = [gaussian_filter(rng.standard_normal((20, 30, 25)), blur) for _ in range(2)]
    prediction, reference = (field > field.std() for field in fields)
    assert_all_agree(prediction, reference, spacing)


@needs_shared
def test_two_readers_of_real_patients_agree_with_three_other_implementations_and_the_published_dice():
    folder = SHARED / "double_reading"
    with (folder / "pairs.csv").open() as lines:
        published = {row["id"]: row for row in csv.DictReader(lines)}
    pairs = 0
    for case in published:
        images = [nib.load(folder / f"{case}_{reader}.nii.gz") for reader in ("oncologist", "radiographer")]
        spacing = tuple(float(s) for s in images[0].header.get_zooms()[::-1])
        oncologist, radiographer = (np.asarray(image.dataobj).T for image in images)
        for value, organ in ORGANS.items():
            if (published[case][f"{organ}_onc_rad"] or "") == "":
                continue
            assert_all_agree(radiographer == value, oncologist == value, spacing)
            expected = float(published[case][f"{organ}_onc_rad"])
            assert dice(radiographer == value, oncologist == value) == pytest.approx(expected, abs=6e-4)
            pairs += 1
    assert pairs >= 40
