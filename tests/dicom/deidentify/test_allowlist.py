"""The allowlist against DICOM: each element that stays is of the kind that its table says, and E.1-1 lets it stay."""

import pytest
from pydicom.datadict import dictionary_VR, keyword_dict, tag_for_keyword

from gossamer.dicom.deidentify import allowlist

LISTED = {
    "U": {
        *("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"),
        *("ReferencedSOPInstanceUID", "ReferencedFrameOfReferenceUID"),
    },
    "Z": {
        *("AccessionNumber", "ContentDate", "ContentTime", "OperatorsName", "PatientBirthDate", "PatientSex"),
        *("ReferringPhysicianName", "ReviewDate", "ReviewTime", "ReviewerName", "ROIInterpreter", "StructureSetDate"),
        *("StructureSetTime", "StudyDate", "StudyID", "StudyTime"),
    },
    "C": {"AcquisitionDate", "ContentDate", "SeriesDate", "StructureSetDate", "StudyDate"},
    "D": {"StructureSetLabel"},
}
"""What stays of the attributes of PS3.15 Table E.1-1, by its action: a UID of the key, nothing, a moved date (of the
option 113107 alone), a dummy. By hand, from the table; where it allows two actions, the one that is taken. Patient's
Name, Patient ID and ROI Name, Z, are written anew."""

NOT_LISTED_BUT_EMPTIED = {"Manufacturer", "PositionReferenceIndicator"}


def test_attributes_that_the_basic_profile_lists_are_treated_as_it_wants():
    assert LISTED["U"] == allowlist.UIDS
    assert LISTED["Z"] | NOT_LISTED_BUT_EMPTIED == allowlist.EMPTIED
    assert LISTED["C"] == allowlist.DATES
    assert allowlist.DUMMIES.keys() == LISTED["D"]


@pytest.mark.parametrize(
    ("keywords", "representations"),
    [
        (allowlist.DECIMALS, {"DS", "IS"}),
        (allowlist.SHORTS, {"US", "US or SS"}),
        (allowlist.CODES.keys() - {"RescaleType"}, {"CS"}),  # which is LO, with defined terms (PS3.3 C.11.1.1.2)
        (allowlist.UIDS | allowlist.CLASS_UIDS, {"UI"}),
        (allowlist.SEQUENCES, {"SQ"}),
        (allowlist.DATES, {"DA"}),
        (allowlist.PIXELS, {"OB or OW", "AT"}),
        (allowlist.DUMMIES.keys(), {"SH"}),
    ],
    ids=["decimals", "shorts", "codes", "uids", "sequences", "dates", "pixels", "dummies"],
)
def test_no_element_has_a_representation_of_another_kind(keywords, representations):
    assert {dictionary_VR(tag_for_keyword(keyword)) for keyword in keywords} <= representations


def test_a_keyword_stands_in_one_table_alone_but_dates_that_are_emptied_where_they_are_not_moved():
    tables = [
        *(allowlist.DECIMALS, allowlist.SHORTS, set(allowlist.CODES), allowlist.UIDS, allowlist.CLASS_UIDS),
        *(allowlist.SEQUENCES, allowlist.EMPTIED | allowlist.DATES, allowlist.PIXELS, set(allowlist.DUMMIES)),
    ]
    assert sum(map(len, tables)) == len(allowlist.WANTED)
    assert set(allowlist.WANTED) <= keyword_dict.keys()
    assert set(allowlist.WANTED) >= allowlist.ESSENTIAL
