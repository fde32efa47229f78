"""Each named warning from both sides: a CT as the model knows them, and one thing about it changed."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gossamer.data.frame import Frame
from gossamer.data.image import Image, read_label_map, read_nifti
from gossamer.data.learned import Learned
from gossamer.data.tg263 import STRUCTURES
from gossamer.errors import EmptyMaskError
from gossamer.segment.masks import PackedMasks
from gossamer.segment.model_file import INTENDED_USE, Model, ModelRecord
from gossamer.segment.output import ImageFile, write_prediction
from gossamer.segment.unlike import NAMES, RUNS_ON, because, ct_warnings, image_warnings, not_asked, remarks_on

OPENKBP = Path(__file__).parents[3] / "shared" / "data" / "openkbp"
ORGANS = ("Brainstem", "SpinalCord", "Parotid_L", "Parotid_R", "Bone_Mandible")
LEARNED = Learned(
    cases=40,
    spacing_mm=((4.0, 5.0), (4.0, 5.25), (4.0, 5.25)),
    extent_mm=((80.0, 200.0), (200.0, 300.0), (200.0, 400.0)),
    hu=(-1000, -100, 30, 50, 710, 750, 800),
)


@pytest.fixture
def model(plan):
    record = ModelRecord(arm="gossip", seed=0, sites={"A": 40}, steps=1, rounds=1, gossamer_version="0.1.0")
    return Model({}, replace(plan, structures=ORGANS), record, INTENDED_USE, "0" * 64, LEARNED)


def names(warnings):
    return {warning.name for warning in warnings}


def spaced(image, spacing_mm):
    return Image(image.voxels, Frame.canonical(image.frame.shape, spacing_mm))


def cropped(patient, box):
    """A CT and its masks of which only a part is there."""
    voxels = patient.image.voxels[box]
    return Image(voxels, Frame.canonical(voxels.shape, (5.0, 5.0, 5.0))), {n: m[box] for n, m in patient.masks.items()}


def test_a_ct_like_the_training_data_gets_no_warning(lying_patient, model):
    assert ct_warnings(lying_patient.image, lying_patient.masks, model) == ()
    packed = PackedMasks(ORGANS, lying_patient.image.frame.shape)
    for row, name in enumerate(ORGANS):
        for z, plane in enumerate(lying_patient.masks[name]):
            packed.set_plane(z, np.array([row]), plane[None])
    assert ct_warnings(lying_patient.image, packed, model) == ()


def test_hu_of_another_scale_are_named_and_nothing_else_is_asked(lying_patient, model):
    image = Image(lying_patient.image.voxels + np.int16(1024), lying_patient.image.frame)
    [warning] = ct_warnings(image, {}, model)
    assert warning.name == "hu"
    assert "wanted air near -1000 HU; found none" in warning.text
    assert warning.text.endswith("look at slope and intercept, and export it again")
    assert image_warnings(image, model) == (warning,)
    assert because(image, model) == f" ({warning})"
    assert because(lying_patient.image, model) == ""


def test_where_nothing_was_found_the_error_says_why(lying_patient, model, tmp_path):
    image = Image(lying_patient.image.voxels + np.int16(1024), lying_patient.image.frame)
    nothing = PackedMasks(ORGANS, image.frame.shape)
    source = ImageFile("case-1", tmp_path / "absent")
    with pytest.raises(EmptyMaskError, match=r"a region the model knows\? \(hu: wanted air near -1000 HU; found none"):
        write_prediction(tmp_path, source, image, nothing, model, label_map=False)
    with pytest.raises(EmptyMaskError, match=r"a region the model knows\?$"):
        write_prediction(tmp_path, source, lying_patient.image, nothing, model, label_map=False)


def test_orientation_is_named_before_anything_is_predicted(lying_patient, model):
    turned = Image(np.ascontiguousarray(lying_patient.image.voxels[:, ::-1]), lying_patient.image.frame)
    assert names(image_warnings(turned, model)) == {"orientation"}
    assert image_warnings(lying_patient.image, model) == ()


@pytest.mark.parametrize(
    ("spacing_mm", "warned"),
    [((7.4, 5.0, 5.0), False), ((7.6, 5.0, 5.0), True), ((2.7, 5.0, 5.0), False), ((2.6, 5.0, 5.0), True)],
)
def test_spacing_is_held_against_the_training_data_with_a_factor(lying_patient, model, spacing_mm, warned):
    found = image_warnings(spaced(lying_patient.image, spacing_mm), model)
    assert ("spacing" in names(found)) == warned
    if warned:
        [text] = [str(warning) for warning in found if warning.name == "spacing"]
        assert text.startswith(
            f"spacing: wanted about 4 to 5 mm along z, as the model has learned; found {spacing_mm[0]}"
        )


def test_extent_is_held_against_the_training_data_with_a_factor(lying_patient, model):
    shorter, _ = cropped(lying_patient, np.s_[:7])  # 35 mm of 80
    assert "extent" in names(image_warnings(shorter, model))
    kept, _ = cropped(lying_patient, np.s_[:9])
    assert "extent" not in names(image_warnings(kept, model))


def test_a_structure_cut_by_the_scans_end_is_named_with_that_end(lying_patient, model):
    image, masks = cropped(lying_patient, np.s_[:14])
    cut = [warning.text for warning in ct_warnings(image, masks, model) if warning.name == "cut"]
    assert [text.partition(":")[0] for text in cut] == ["Parotid_L", "Parotid_R"]
    assert all("found 100 % of its largest section in the last slice (top)" in text for text in cut)
    *warnings, note = remarks_on(image, masks, model).notes
    assert warnings == [f"warning, {warning}" for warning in ct_warnings(image, masks, model)]
    assert note == "the scan holds a part only of Brainstem, SpinalCord, Parotid_L, Parotid_R"


def test_a_body_beyond_the_field_of_view_is_named(lying_patient, model):
    image, _ = cropped(lying_patient, np.s_[:, :, 20:])
    [text] = [warning.text for warning in image_warnings(image, model) if warning.name == "cut"]
    assert "of its largest section cut off at a side" in text


def test_what_runs_on_may_reach_the_scans_end(lying_patient, model):
    assert lying_patient.masks["SpinalCord"][0].any()
    assert STRUCTURES.keys() >= RUNS_ON
    assert not {"Bone_Mandible", "Parotid_L", "Liver", "Bladder"} & RUNS_ON
    assert ct_warnings(lying_patient.image, lying_patient.masks, model) == ()


def test_few_structures_found_as_usual_mean_another_region(lying_patient, model):
    nothing = np.zeros(lying_patient.image.frame.shape, dtype=bool)
    one_lost = {**lying_patient.masks, "Parotid_L": nothing}
    assert "body-part" not in names(ct_warnings(lying_patient.image, one_lost, model))
    two_lost = {**one_lost, "Bone_Mandible": nothing, "SpinalCord": nothing, "Brainstem": nothing}
    [warning] = ct_warnings(lying_patient.image, two_lost, model)
    assert warning.name == "body-part"
    assert "found 1 of 3 (not: Parotid_L, Bone_Mandible)" in warning.text  # cord and brainstem may lie beyond the scan


def test_what_nearly_every_training_case_has_is_missed_by_name(lying_patient, model):
    nothing = np.zeros(lying_patient.image.frame.shape, dtype=bool)
    masks = {**lying_patient.masks, "Brainstem": nothing, "Parotid_R": nothing}
    known = model.record.model_copy(update={"annotated": {"Brainstem": 34, "Parotid_R": 33, "SpinalCord": 40}})
    [warning] = ct_warnings(lying_patient.image, masks, replace(model, record=known))
    assert str(warning).startswith(
        "body-part: Brainstem: wanted it in the CT, as in 34 of 40 training cases; found 0 ml; does"
    )
    masks["Brainstem"] = nothing.copy()
    masks["Brainstem"][15, 22:26, 28:32] = True  # 2 ml, more than half of the smallest plausible 3.3 ml
    assert ct_warnings(lying_patient.image, masks, replace(model, record=known)) == ()


def test_an_absurd_volume_is_named(lying_patient, model):
    lying_patient.masks["Parotid_L"][4:18, 14:28, 34:44] = True
    assert names(ct_warnings(lying_patient.image, lying_patient.masks, model)) == {"volume"}


def test_absurd_positions_and_wrong_sides_are_named(lying_patient, model):
    masks = lying_patient.masks
    masks["Parotid_L"], masks["Parotid_R"] = masks["Parotid_R"], masks["Parotid_L"]
    [warning] = ct_warnings(lying_patient.image, masks, model)
    assert str(warning).startswith("position: Parotid_L lies 105 mm to the right of Parotid_R; is the CT the right way")


def test_another_contrast_is_named_by_the_middle_hu_inside_structures(lying_patient, model):
    known = model.learned.model_copy(update={"hu": (-1000, 60, 65, 70, 75, 80, 800)})
    [warning] = ct_warnings(lying_patient.image, lying_patient.masks, replace(model, learned=known))
    assert warning.name == "contrast"
    assert "wanted a middle of 60 to 80 HU inside structures" in warning.text


def test_a_model_that_does_not_say_what_it_learned_is_asked_for_the_rest(lying_patient, model):
    silent = replace(model, learned=None)
    silent = replace(silent, plan=replace(silent.plan, spacing_mm=(3.0, 5.0, 5.0)))
    for spacing_z, warned in ((0.1, set()), (5.9, set()), (6.1, {"spacing"})):
        image = spaced(lying_patient.image, (spacing_z, 5.0, 5.0))
        found = names(ct_warnings(image, lying_patient.masks, silent))
        assert found & {"spacing", "extent", "contrast"} == warned
    turned = Image(np.ascontiguousarray(lying_patient.image.voxels[:, ::-1]), lying_patient.image.frame)
    assert names(image_warnings(turned, silent)) == {"orientation"}
    assert not_asked(silent) == (
        "extent, contrast and fine spacing: the model file does not say what the training data were like; coarse "
        "spacing is held against the model's own grid",
    )
    notes = remarks_on(lying_patient.image, lying_patient.masks, silent).notes
    assert notes[0] == "the scan holds a part only of SpinalCord"
    assert notes[1] == f"not asked: {not_asked(silent)[0]}"
    few = LEARNED.model_copy(update={"spacing_mm": (None, None, None), "hu": None})
    assert [text.partition(":")[0] for text in not_asked(replace(model, learned=few))] == ["spacing", "contrast"]
    assert not_asked(model) == ()


def test_names_are_the_stable_ones():
    assert NAMES == ("hu", "orientation", "spacing", "extent", "cut", "body-part", "volume", "position", "contrast")


@pytest.mark.skipif(not OPENKBP.is_dir(), reason="needs ../shared/data (real patients), which is absent")
def test_a_real_patient_as_drawn_gets_no_warning_and_altered_the_right_one(model):
    image = read_nifti(OPENKBP / "train_pt_58_ct.nii.gz")
    labels, _ = read_label_map(OPENKBP / "train_pt_58_oar.nii.gz")
    names_of = json.loads((OPENKBP / "labels.json").read_text())
    masks = {name: labels == int(value) for value, name in names_of.items() if name in ORGANS}
    openkbp = LEARNED.model_copy(
        update={  # of its 168 training patients
            "spacing_mm": ((2.0, 3.0), (3.75, 5.25), (3.75, 5.25)),
            "extent_mm": ((100.0, 400.0), None, None),
            "hu": (-966, -70, -3, 34, 190, 1203, 1600),
        }
    )
    model = replace(model, learned=openkbp)
    assert sum(mask.any() for mask in masks.values()) >= 4
    assert ct_warnings(image, masks, model) == ()

    def found(voxels, spacing_mm=image.frame.spacing_mm):
        return names(image_warnings(Image(voxels, Frame.canonical(voxels.shape, spacing_mm)), model))

    assert found(image.voxels + np.int16(1024)) == {"hu"}
    assert found(np.ascontiguousarray(image.voxels[:, ::-1])) == {"orientation"}
    assert "orientation" in found(np.ascontiguousarray(image.voxels.transpose(1, 0, 2)))
    z, y, x = image.frame.spacing_mm
    assert found(image.voxels[::4], (4 * z, y, x)) == {"spacing"}
    assert "cut" in found(np.ascontiguousarray(image.voxels[:, :, : image.frame.shape[2] // 2]))
