"""What stays of a CT image, a structure set or a dose when it is de-identified: an allowlist.

Law
    1. An element stays only if it stands in a table below; all others go, whatever DICOM PS3.15 Table E.1-1 says of
       them, and private ones always. So nothing stays that a newer edition, a vendor or a typist has put elsewhere.
    2. What stays is of one of five kinds, and its bytes must be of this kind: decimal numbers, a binary number of two
       bytes, one of the listed codes, a UID that the key turns into another, or a sequence of such. There is no kind
       for text, so no text stays; names of ROIs are replaced (``objects``). It is written with the VR that the standard
       gives it, whatever the file says.
    3. A value that is not of its kind goes. If the object means something else without it (``ESSENTIAL``), the object
       is refused.
    4. Pixels are the one thing without a kind: they stay of an image or a dose, at its top, and nowhere else.

Source: DICOM PS3.15 E.2 (Basic Application Level Confidentiality Profile) and Table E.1-1; PS3.3 A.3, A.18, A.19 for
what the three kinds of objects need.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydicom.datadict import tag_for_keyword

from gossamer.dicom.files import codes
from gossamer.dicom.files.elements import DECIMAL

DECIMALS = frozenset(
    (
        *("SeriesNumber", "AcquisitionNumber", "InstanceNumber", "NumberOfFrames"),
        *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "SliceLocation"),
        *("SpacingBetweenSlices", "PixelAspectRatio", "LossyImageCompressionRatio"),
        *("RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth", "KVP", "GantryDetectorTilt"),
        *("TableHeight", "DataCollectionDiameter", "ReconstructionDiameter", "DistanceSourceToDetector"),
        *("DistanceSourceToPatient", "ExposureTime", "XRayTubeCurrent", "Exposure"),
        *("ReferencedFrameNumber", "ROINumber", "ReferencedROINumber", "ObservationNumber", "ROIDisplayColor"),
        *("ContourNumber", "AttachedContours", "NumberOfContourPoints", "ContourData", "ContourSlabThickness"),
        *("ContourOffsetVector", "GridFrameOffsetVector", "DoseGridScaling"),
        *("ReferencedFractionGroupNumber", "ReferencedBeamNumber"),
    )
)
"""Elements of VR DS and IS."""

NAMING = frozenset({"SeriesNumber", "AcquisitionNumber", "InstanceNumber"})
"""Those of them that count nothing: some systems make them from the date and time, or from an order's number."""

NAMING_DIGITS = 6
"""Of a number in ``NAMING`` at most; fewer than a date has."""

SHORTS = frozenset(
    (
        *("SamplesPerPixel", "PlanarConfiguration", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit"),
        *("PixelRepresentation", "SmallestImagePixelValue", "LargestImagePixelValue"),
        *("PixelPaddingValue", "PixelPaddingRangeLimit"),
    )
)
"""Elements of VR US and SS with one value."""

CODES: Mapping[str, frozenset[str]] = {
    "Modality": frozenset({"CT", "RTSTRUCT", "RTDOSE"}),
    "PatientPosition": frozenset(
        ("HFP", "HFS", "HFDR", "HFDL", "FFDR", "FFDL", "FFP", "FFS", "LFP", "LFS", "RFP", "RFS", "AFDR", "AFDL")
    )
    | {"PFDR", "PFDL"},
    "ImageType": frozenset({"ORIGINAL", "DERIVED", "PRIMARY", "SECONDARY", "AXIAL"}),
    "Laterality": frozenset({"L", "R"}),
    "BurnedInAnnotation": frozenset({"NO"}),
    "LossyImageCompression": frozenset({"00", "01"}),
    "LossyImageCompressionMethod": frozenset(
        {"ISO_10918_1", "ISO_14495_1", "ISO_15444_1", "ISO_15444_15", "ISO_13818_2"}
    ),
    "PhotometricInterpretation": frozenset({"MONOCHROME1", "MONOCHROME2"}),
    "RotationDirection": frozenset({"CW", "CC"}),
    "ROIGenerationAlgorithm": frozenset({"AUTOMATIC", "SEMIAUTOMATIC", "MANUAL"}),
    "RTROIInterpretedType": frozenset(
        ("EXTERNAL", "PTV", "CTV", "GTV", "TREATED_VOLUME", "IRRAD_VOLUME", "OAR", "BOLUS", "AVOIDANCE", "ORGAN")
    )
    | {"MARKER", "REGISTRATION", "ISOCENTER", "CONTRAST_AGENT", "CAVITY", "SUPPORT", "FIXATION", "CONTROL"},
    "TissueHeterogeneityCorrection": frozenset({"IMAGE", "ROI_OVERRIDE", "WATER"}),
    **{
        keyword: terms
        for keyword, terms in codes.CODES.items()
        if keyword not in ("Modality", "PhotometricInterpretation")
    },
}
"""Codes that DICOM defines; of several values, others go."""

UIDS = frozenset(
    (
        *("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"),
        *("ReferencedSOPInstanceUID", "ReferencedFrameOfReferenceUID"),
    )
)
"""UIDs of things at the hospital."""

CLASS_UIDS = frozenset({"SOPClassUID", "ReferencedSOPClassUID"})
"""UIDs of things in the standard; one that is not there is treated as of the hospital."""

SEQUENCES = frozenset(
    (
        *("ReferencedFrameOfReferenceSequence", "RTReferencedStudySequence", "RTReferencedSeriesSequence"),
        *("ContourImageSequence", "StructureSetROISequence", "ROIContourSequence", "ContourSequence"),
        *("RTROIObservationsSequence", "ReferencedStructureSetSequence", "ReferencedRTPlanSequence"),
        *("ReferencedFractionGroupSequence", "ReferencedBeamSequence"),
    )
)
"""Each item of them is treated as the object is."""

EMPTIED = frozenset(
    (
        *("PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID", "AccessionNumber"),
        *("ContentDate", "ContentTime"),
        *("ReferringPhysicianName", "OperatorsName", "Manufacturer", "PositionReferenceIndicator"),
        *("StructureSetDate", "StructureSetTime", "ReviewDate", "ReviewTime", "ReviewerName", "ROIInterpreter"),
    )
)
"""Present, with no value, if they were there: elements of type 2 or 2C, which an object is not valid without."""

EMPTIED_CODES = frozenset({"ROIGenerationAlgorithm", "RTROIInterpretedType"})
"""Codes of type 2: of another value nothing is left but the element."""

DATES = frozenset({"StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate", "StructureSetDate"})
"""Stay, moved, where the order in time is wanted."""

ESSENTIAL = frozenset(
    (
        *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality"),
        *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "NumberOfFrames"),
        *("SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns", "BitsAllocated", "BitsStored"),
        *("HighBit", "PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit"),
        *("RescaleSlope", "RescaleIntercept", "RescaleType", "PatientPosition"),
        *("ROINumber", "ReferencedROINumber", "ContourData", "ContourGeometricType", "NumberOfContourPoints"),
        *("ReferencedFrameNumber", "GridFrameOffsetVector", "DoseGridScaling", "DoseUnits", "DoseType"),
        "DoseSummationType",
    )
)
"""If one of these is there and not of its kind, the object is refused."""

PIXELS = frozenset({"PixelData", "FrameIncrementPointer"})
"""Stay as they are: the pixels, and which element tells their frames apart (law 4)."""

DUMMIES = {"StructureSetLabel": "RTSTRUCT"}
"""Dummies of elements that may not be empty (action D)."""

WANTED = sorted(
    DECIMALS | SHORTS | CODES.keys() | UIDS | CLASS_UIDS | SEQUENCES | EMPTIED | DATES | PIXELS | DUMMIES.keys()
)
"""All that is read of a file, by keyword; with ROI Name and what tells patients apart, which do not stay."""

KEYWORDS = {tag_for_keyword(keyword): keyword for keyword in WANTED if keyword not in PIXELS}
"""What may stay of an item as of the object, by tag."""


def are_decimals(value: bytes) -> bool:
    """Whether bytes are decimal numbers, or nothing."""
    return all(not text or DECIMAL.fullmatch(text) for text in (one.strip(b" \0") for one in value.split(b"\\")))


def is_too_telling(keyword: str, value: bytes) -> bool:
    """Whether a number that counts nothing has as many digits as a date."""
    return keyword in NAMING and len(value.strip(b" \0")) > NAMING_DIGITS


def kept_codes(keyword: str, value: bytes) -> bytes | None:
    """The listed codes among the values of an element, as they stand; None if there are none."""
    texts = [text.strip(b" \0").decode("ascii", "replace").upper() for text in value.split(b"\\")]
    kept = [text for text in texts if text in CODES[keyword]]
    if len(kept) != len(texts) and keyword in ESSENTIAL:
        return None
    joined = "\\".join(kept).encode()
    return joined + b" " * (len(joined) % 2) if kept else None
