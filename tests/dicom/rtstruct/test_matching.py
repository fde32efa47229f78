"""Which CT a structure set was drawn on, and which structure set of a CT counts."""

from dataclasses import dataclass, replace

import pytest
from tests.dicom.phantom_structures import FRAME, SERIES, STUDY, Drawn, axial_stack, box, write_structures

from gossamer.dicom.rtstruct.matching import choose_structure_set, match_series
from gossamer.dicom.rtstruct.read import read_structure_set
from gossamer.dicom.series.stack import SliceStack
from gossamer.errors import DataError, GeometryMismatchError

STACK = axial_stack()


@dataclass(frozen=True)
class Ct:
    series_uid: str = "9.1"
    study_uid: str = "9.2"
    frame_of_reference_uid: str = "9.3"
    patient_key: str = "P1"
    sop_instance_uids: tuple = ("9.4", "9.5", "9.6", "9.7", "9.8")
    stack: SliceStack = STACK


OTHER = Ct()
HEART = Drawn(2, "Heart", [box((10, 11), (20, 23)), box((10, 11), (20, 23), z=23)], images=["1.2.3.4.1", "1.2.3.4.2"])
IMAGES = ("1.2.3.4.1", "1.2.3.4.2", "1.2.3.4.3", "1.2.3.4.4", "1.2.3.4.5")


@pytest.fixture
def structures(tmp_path):
    def make(*rois, **settings):
        return read_structure_set(write_structures(tmp_path / "rs.dcm", rois or [HEART], **settings))

    return make


def without_references(file):
    del file.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence
    for item in file.ROIContourSequence[0].ContourSequence:
        del item.ContourImageSequence


def matched(structures, *candidates):
    return match_series(structures, candidates)


def test_the_series_that_the_file_names_goes_first(structures):
    named = Ct(series_uid=SERIES, frame_of_reference_uid=FRAME)
    match = matched(structures(), Ct(frame_of_reference_uid=FRAME, study_uid=STUDY), named)
    assert match.series is named
    assert (match.rule, match.foreign_rois, match.notes) == ("the series that it names", (), ())


def test_then_the_series_with_most_of_the_images_that_contours_refer_to(structures):
    one = Ct(frame_of_reference_uid=FRAME, study_uid=STUDY, sop_instance_uids=(*IMAGES[1:], "9.9"))
    both = Ct(frame_of_reference_uid=FRAME, sop_instance_uids=IMAGES)
    match = matched(structures(), OTHER, one, both)
    assert match.series is both
    assert match.rule == "the images that its contours refer to"


def test_images_that_are_only_listed_count_where_contours_refer_to_none(structures):
    right = Ct(frame_of_reference_uid=FRAME, sop_instance_uids=IMAGES)
    drawn = structures(replace(HEART, images=None), image_uids=IMAGES)
    assert matched(drawn, Ct(frame_of_reference_uid=FRAME), right).series is right


def test_then_frame_of_reference_and_study_and_then_the_frame_alone(structures):
    drawn = structures(change=without_references)
    in_frame, in_study = Ct(frame_of_reference_uid=FRAME), Ct(study_uid=STUDY)
    both = Ct(frame_of_reference_uid=FRAME, study_uid=STUDY)
    assert matched(drawn, in_study, in_frame, both).series is both
    match = matched(drawn, in_study, OTHER, in_frame)  # the structure set is in another study than its CT
    assert match.series is in_frame
    assert match.rule == "frame of reference"


def test_each_rule_narrows_what_the_one_before_left(structures):
    def name_two(file):
        study = file.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0]
        study.RTReferencedSeriesSequence.append(type(study)())
        study.RTReferencedSeriesSequence[1].SeriesInstanceUID = "9.1"

    first, second = Ct(frame_of_reference_uid=FRAME), Ct(SERIES, frame_of_reference_uid=FRAME, sop_instance_uids=IMAGES)
    match = matched(structures(change=name_two), first, second, Ct(series_uid="9.9", sop_instance_uids=IMAGES))
    assert match.series is second


def test_a_tie_is_a_question_that_shows_the_series_without_their_uids(structures):
    phase = Ct(frame_of_reference_uid=FRAME)
    later = Ct(frame_of_reference_uid=FRAME, stack=axial_stack(4, first_z=21.5))
    with pytest.raises(DataError) as caught:
        matched(structures(change=without_references), OTHER, phase, later)
    assert str(caught.value) == (
        "structure set: wanted one series that it was drawn on; found 2 by frame of reference: "
        "series 2 (5 slices of 30x40, 20.00 to 32.00 mm); series 3 (4 slices of 30x40, 21.50 to 30.50 mm); "
        "take the others out of the folder"
    )


def test_a_named_series_is_doubted_where_all_contours_refer_to_another(structures):
    named = Ct(series_uid=SERIES, frame_of_reference_uid=FRAME)
    with pytest.raises(DataError, match=r"refer to images of series 1 .* and it names series 2 "):
        matched(structures(), Ct(frame_of_reference_uid=FRAME, sop_instance_uids=IMAGES), named)


def test_other_patients_are_no_candidates(structures):
    with pytest.raises(GeometryMismatchError, match="found no series of its patient"):
        matched(structures(), Ct(series_uid=SERIES, frame_of_reference_uid=FRAME, patient_key="Q"))


def test_another_frame_is_forgiven_the_only_ct_that_all_contours_lie_on_and_said(structures):
    for series in (OTHER, Ct(series_uid=SERIES), Ct(frame_of_reference_uid="")):
        match = matched(structures(change=without_references), series)
        assert match.series is series
        assert "another frame of reference" in match.notes[0]


def test_another_frame_is_not_forgiven_one_of_several(structures):
    with pytest.raises(GeometryMismatchError, match="more than one series of this patient"):
        matched(structures(), Ct(series_uid=SERIES), OTHER)
    with pytest.raises(GeometryMismatchError, match="among 2; add that series"):
        matched(structures(), OTHER, OTHER)


@pytest.mark.parametrize(
    ("contour", "why"),
    [
        (box((10, 11), (20, 23), z=24.2), r"ROI 2 has a contour 1\.20 mm off the nearest slice"),
        (box((10, 11), (20, 23), z=40), r"ROI 2 has a contour 8\.00 mm off the nearest slice"),
        (box((10, 35), (20, 23)), "ROI 2 reaches beyond its slices"),
    ],
)
def test_another_frame_is_not_forgiven_where_a_contour_lies_elsewhere(structures, contour, why):
    with pytest.raises(GeometryMismatchError, match=why):
        matched(structures(Drawn(2, "Heart", [box((10, 11), (20, 23)), contour])), OTHER)


def test_nor_where_there_is_no_contour_to_tell_by(structures):
    with pytest.raises(GeometryMismatchError, match="no contour to tell by"):
        matched(structures(Drawn(2, "Iso", [[[0.0, 0, 0]]], kind="POINT")), OTHER)


def test_rois_in_another_frame_than_the_ct_are_named(structures):
    on_mr = Drawn(5, "GTV", HEART.contours, frame_uid="7.7")
    match = matched(structures(HEART, on_mr), Ct(series_uid=SERIES, frame_of_reference_uid=FRAME))
    assert match.foreign_rois == (5,)
    assert match.notes == ("ROIs 5 are in another frame of reference than the CT",)


def test_an_unknown_frame_is_said(structures):
    match = matched(structures(), Ct(series_uid=SERIES, frame_of_reference_uid=""))
    assert "not known" in match.notes[0]


# Several structure sets


def test_approved_goes_before_newer_and_newer_before_older(structures):
    old = structures()
    newer = replace(old, date="20240301", time="")
    latest = replace(old, date="2024.03.01", time="00:00:01")
    approved = replace(old, approval_status="APPROVED", date="")
    rejected = replace(old, approval_status="REJECTED", date="20250101")
    choice = choose_structure_set([rejected, old, approved, newer])
    assert choice.chosen is approved
    assert [loser for loser, _ in choice.losers] == [rejected, old, newer]
    assert choice.losers[0][1] == "its approval status is REJECTED, that of another is APPROVED"
    choice = choose_structure_set([rejected, old, latest, newer])
    assert choice.chosen is latest
    assert choice.losers[1] == (old, "another is newer")


def test_the_user_s_label_goes_before_all(structures):
    old = structures(label="Plan 1")
    approved = replace(old, label="Plan 2", approval_status="APPROVED")
    choice = choose_structure_set([approved, old], " plan 1")
    assert choice.chosen is old
    assert choice.losers == ((approved, "it has another label than was named"),)
    with pytest.raises(DataError, match="found 2 without"):
        choose_structure_set([approved, old], "Plan 3")


def test_two_of_the_same_status_date_and_time_are_a_question(structures):
    one = structures()
    with pytest.raises(DataError, match="found 2 with the same approval status, date and time"):
        choose_structure_set([one, replace(one, label="B")])
