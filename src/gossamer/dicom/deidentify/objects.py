"""One CT image, structure set or dose without what tells whose it is.

Law
    1. What stays is an allowlist; see ``allowlist``. Pixels stay byte for byte, in their transfer syntax.
    2. UIDs are turned into others by the site's key, in every sequence and in the File Meta Information, so that
       references hold between files, and between runs. UIDs of the standard stay.
    3. Of a structure set those ROIs stay that have a standard name or were given one by a person, and under that name
       (Clean Descriptors). All others go with their contours and observations; so do those that share a name, or whose
       contours cannot be believed.
    4. Dates go, or are moved back by a number of days that the key gives the patient.
    5. What may hold words in its pixels is refused: images that do not deny it, scouts, and all other kinds of objects.

What stays in the pixels is what was scanned: a head CT shows the face.

Source: DICOM PS3.15 E.1 to E.3, Table E.1-1; codes of CID 7050 (PS3.16).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RTDoseStorage,
    RTStructureSetStorage,
)

from gossamer import __version__
from gossamer.data.tg263 import STRUCTURES
from gossamer.dicom.deidentify import allowlist
from gossamer.dicom.deidentify.cleaner import Cleaner, new_element
from gossamer.dicom.deidentify.pseudonyms import Pseudonyms
from gossamer.dicom.files.codes import is_standard_uid
from gossamer.dicom.files.elements import ascii_of, bytes_of, short_of, whole_number_of
from gossamer.dicom.files.header import Header
from gossamer.dicom.files.open_file import foreign_errors_mapped, open_dicom
from gossamer.dicom.rtstruct.read import read_structure_set
from gossamer.dicom.series.pixels import PIXEL_TAGS, PLAIN_SYNTAXES, decompressed, read_stored
from gossamer.errors import UnreadableImageError

KINDS: Mapping[str, str] = {CTImageStorage: "CT", RTStructureSetStorage: "RTSTRUCT", RTDoseStorage: "RTDOSE"}
"""SOP classes that are taken, and their Modality."""

PROFILE = (
    ("113100", "Basic Application Confidentiality Profile"),
    ("113105", "Clean Descriptors Option"),
)
"""What is done (CID 7050)."""

MOVED_DATES = ("113107", "Retain Longitudinal Temporal Information Modified Dates Option")
"""What is done besides where dates are moved."""


@dataclass(frozen=True)
class Treatment:
    """How a site's files are treated.

    Attributes:
        pseudonyms: of this site.
        names: standard names by ROI names, as a person confirmed them; "" leaves a ROI out.
        shift_dates: dates are moved, and not removed.
    """

    pseudonyms: Pseudonyms
    names: Mapping[str, str]
    shift_dates: bool = False


@dataclass(frozen=True)
class CleanFile:
    """A file as it may be given away.

    Attributes:
        name: of the file: its kind, and its new UID.
        content: of the file.
        rois: names of the ROIs that stay.
        removed_rois: how many went.
    """

    name: str
    content: bytes
    rois: tuple[str, ...] = ()
    removed_rois: int = 0


def deidentified(header: Header, patient_key: str, treatment: Treatment) -> CleanFile:
    """A file without what tells whose it is.

    Args:
        header: of a file of one of the ``KINDS``.
        patient_key: tells the patient from others.
        treatment: of this site's files.

    Raises:
        UnreadableImageError: it cannot be read or cleaned, may hold words in its pixels, or no ROI would stay.
    """
    _check_no_words(header)
    rois, removed = _named_rois(header, treatment) if header.sop_class_uid == RTStructureSetStorage else ({}, 0)
    with foreign_errors_mapped():
        data = open_dicom(header.path, allowlist.WANTED)
        if ascii_of(data, "SOPInstanceUID") != header.sop_instance_uid:
            raise UnreadableImageError(
                "wanted the object of the header; found another; leave files in place while they are read"
            )
        _check_pixels(header, data)
        days_earlier = treatment.pseudonyms.days_earlier(patient_key) if treatment.shift_dates else None
        cleaner = Cleaner(data, treatment.pseudonyms.uid, days_earlier, rois)
        is_image = header.sop_class_uid != RTStructureSetStorage
        clean = cleaner.with_pixels() if is_image else cleaner.without_pixels()
        clean.Modality = KINDS[header.sop_class_uid]
        _state_what_was_done(clean, treatment.pseudonyms.of(patient_key), shifted=treatment.shift_dates)
        content = _written(clean, _transfer_syntax(data))
    name = f"{clean.Modality}.{clean.SOPInstanceUID}.dcm"
    return CleanFile(name, content, tuple(sorted(rois.values())), removed)


# What is refused


def _check_no_words(header: Header) -> None:
    if header.is_scout:
        raise UnreadableImageError("wanted slices; found a scout, which may show words; it is not needed")
    if header.contradicted:
        raise UnreadableImageError(
            "wanted one object a SOP Instance UID; found two files that differ; remove the wrong one"
        )
    if header.sop_class_uid == CTImageStorage:
        read_stored(header)  # whole, of grey values, and nothing beside them in their bits


def _check_pixels(header: Header, data: Dataset) -> None:
    """Raise unless the pixels are those of the image, without a word in them or behind them."""
    if (burned_in := ascii_of(data, "BurnedInAnnotation").upper()) not in ("", "NO"):
        shown = "YES" if burned_in == "YES" else "another code"
        raise UnreadableImageError(
            f"wanted pixels without words; found Burned In Annotation {shown}; export the series without annotations"
        )
    if header.sop_class_uid == RTStructureSetStorage:
        return
    frames = whole_number_of(data, "NumberOfFrames") or 1
    rows, columns, bits = (short_of(data, keyword) or 0 for keyword in ("Rows", "Columns", "BitsAllocated"))
    if header.sop_class_uid == RTDoseStorage:
        _check_dose(header, (frames, rows, columns), bits, short_of(data, "BitsStored"))
    found, wanted = len(bytes_of(data, "PixelData")), frames * rows * columns * bits // 8
    if _syntax_of(data) in PLAIN_SYNTAXES and not 0 < wanted <= found <= wanted + wanted % 2:
        raise UnreadableImageError(f"wanted {wanted:,} bytes of pixels; found {found:,}; export the object again")


def _check_dose(header: Header, shape: tuple[int, int, int], bits: int, used: int | None) -> None:
    """Raise unless a dose has pixels, uses all of their bits (PS3.3 C.8.8.3.4), and they can be decompressed."""
    if not shape[1] * shape[2] * bits:
        raise UnreadableImageError("wanted a dose on a grid; found none; export the dose with its pixels")
    if used != bits:
        raise UnreadableImageError(
            f"wanted a dose in all bits of its pixels; found it in {used} of {bits}; export the dose again"
        )
    pixels = open_dicom(header.path, PIXEL_TAGS)  # once more: a decoder may turn elements into other values
    if _syntax_of(pixels) not in PLAIN_SYNTAXES:
        decompressed(pixels, shape, "a dose")


def _named_rois(header: Header, treatment: Treatment) -> tuple[dict[int, str], int]:
    """Standard names by number of the ROIs that stay, and how many go (law 3)."""
    structures = read_structure_set(header.path)
    found = {
        roi.number: treatment.names.get(name, name if name in STRUCTURES else "")
        for name, roi in structures.by_name.items()
        if not roi.refusal
    }
    names = list(found.values())
    rois = {number: name for number, name in found.items() if name and names.count(name) == 1}
    if not rois:
        raise UnreadableImageError(
            f"wanted ROIs with a standard or confirmed name; found none among {len(structures.rois)}; name them in a "
            "file for --names (gossamer names suggest)"
        )
    return rois, len(structures.rois) - len(rois)


# What is said of it


def _state_what_was_done(clean: Dataset, pseudonym: str, *, shifted: bool) -> None:
    """Who the patient is called, and PS3.15 E.1.1's words of what was done."""
    clean.PatientName = clean.PatientID = pseudonym
    clean.PatientBirthDate = clean.PatientSex = ""
    clean.PatientIdentityRemoved = "YES"
    clean.DeidentificationMethod = f"Gossamer {__version__}: Basic Profile as an allowlist"
    clean.DeidentificationMethodCodeSequence = [
        _code(*code) for code in (*PROFILE, *((MOVED_DATES,) if shifted else ()))
    ]
    clean.LongitudinalTemporalInformationModified = "MODIFIED" if shifted else "REMOVED"
    for keyword in ("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"):
        if keyword not in clean:
            clean[keyword] = new_element(keyword, "")
    if clean.Modality == "CT" and "Laterality" not in clean:
        clean.Laterality = ""  # of type 2C, where the part of the body may be paired: which one it is, is not said


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item


# The file


def _syntax_of(data: Dataset) -> str:
    return str(data.file_meta.get("TransferSyntaxUID") or "")


def _transfer_syntax(data: Dataset) -> str:
    """The one that the data set is in; a file may be wrong about it."""
    found = _syntax_of(data)
    if found == DeflatedExplicitVRLittleEndian:
        return found
    if found in PLAIN_SYNTAXES:
        implicit, little_endian = data.original_encoding
        if implicit:
            return ImplicitVRLittleEndian
        return ExplicitVRLittleEndian if little_endian is not False else ExplicitVRBigEndian
    if not (is_standard_uid(found) and UID(found).is_transfer_syntax):
        raise UnreadableImageError("wanted a transfer syntax of the standard; found another; export the object again")
    return found


def _written(clean: Dataset, transfer_syntax: str) -> bytes:
    clean.file_meta = FileMetaDataset()
    clean.file_meta.TransferSyntaxUID = UID(transfer_syntax)
    clean.file_meta.MediaStorageSOPClassUID = clean.SOPClassUID
    clean.file_meta.MediaStorageSOPInstanceUID = clean.SOPInstanceUID
    file = BytesIO()
    dcmwrite(file, clean, enforce_file_format=True)
    return file.getvalue()
