"""DICOM and NIfTI files that are damaged or made to harm, each by a function of its own.

A hostile slice stands among sound ones of a patient; a hostile structure set beside a sound CT; a hostile NIfTI image
beside a sound label map. Of each it is said what the refusal must mention.
"""

import gzip
import resource
import struct
import time
import zlib
from dataclasses import dataclass

import nibabel
import numpy as np
from pydicom.encaps import encapsulate
from pydicom.uid import MPEG2MPML, JPEG2000Lossless, JPEGBaseline8Bit, RLELossless, SecondaryCaptureImageStorage
from tests.dicom.phantom_patient import organ
from tests.dicom.phantom_structures import put

from gossamer.data.nifti import read_file

CT_CLASS, SET_CLASS = b"1.2.840.10008.5.1.4.1.1.2", b"1.2.840.10008.5.1.4.1.1.481.3"
IMPLICIT, EXPLICIT, DEFLATED = b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.1", b"1.2.840.10008.1.2.1.99"


@dataclass(frozen=True)
class Hostile:
    """One hostile file.

    Attributes:
        name: of the patient, too.
        refusal: a regular expression of what is said of the file or its case.
        change: changes the data set of a slice or structure set before it is written.
        content: makes the bytes of the file of those of a sound one.
        rois: of the structure set.
    """

    name: str
    refusal: str
    change: object = None
    content: object = None
    rois: object = None


def element(group, number, vr, value, length=None):
    """Explicit VR Little Endian, of the long form for OB, SQ and UN."""
    length = len(value) if length is None else length
    if vr in (b"OB", b"SQ", b"UN"):
        return struct.pack("<HH2sHI", group, number, vr, 0, length) + value
    return struct.pack("<HH", group, number) + vr + struct.pack("<H", length) + value


def padded(uid):
    return uid + b"\0" * (len(uid) % 2)


def file_of(content, syntax=EXPLICIT, sop_class=CT_CLASS):
    """A file with File Meta Information."""
    meta = element(2, 2, b"UI", padded(sop_class)) + element(2, 0x10, b"UI", padded(syntax))
    return bytes(128) + b"DICM" + element(2, 0, b"UL", struct.pack("<I", len(meta))) + meta + content


def begins(sop_class=CT_CLASS, uid=b"1.2.3.4"):
    return element(8, 0x16, b"UI", padded(sop_class)) + element(8, 0x18, b"UI", padded(uid))


def nested(depth, sop_class=CT_CLASS):
    begin = struct.pack("<HH2sHI", 8, 0x1140, b"SQ", 0, 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    return file_of(begins(sop_class) + begin * depth, sop_class=sop_class)


def many_items(count):
    """Items without a length, in a sequence without one: it must be read to be passed over."""
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
    return file_of(begins() + element(8, 0x1140, b"SQ", item * count, 0xFFFFFFFF))


def deflate_bomb(sop_class=CT_CLASS, mebibytes=1024):
    packer = zlib.compressobj(1, wbits=-zlib.MAX_WBITS)
    first = packer.compress(begins(sop_class) + element(9, 0x10, b"OB", b"", mebibytes * 2**20)) + packer.flush(
        zlib.Z_FULL_FLUSH
    )
    return file_of(first + zeros_deflated() * (4 * mebibytes) + packer.flush(), DEFLATED, sop_class)


def zeros_deflated():
    """256 KiB of zeros as deflate blocks that may be repeated."""
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    return packer.compress(bytes(2**18)) + packer.flush(zlib.Z_FULL_FLUSH)


def contours_without_number(count):
    """A structure set of so many triangles, in Implicit VR."""

    def plain(group, number, value):
        value += b" " * (len(value) % 2)
        return struct.pack("<HHI", group, number, len(value)) + value

    def item(value):
        return plain(0xFFFE, 0xE000, value)

    contour = item(plain(0x3006, 0x42, b"CLOSED_PLANAR ") + plain(0x3006, 0x50, b"0\\0\\0\\1\\0\\0\\0\\1\\0 "))
    roi = plain(0x3006, 0x40, contour * count) + plain(0x3006, 0x84, b"1 ")
    listed = item(plain(0x3006, 0x22, b"1 ") + plain(0x3006, 0x26, b"Liver "))
    start = plain(8, 0x16, padded(SET_CLASS)) + plain(8, 0x18, b"1.2.3.4\0")
    start += plain(0x10, 0x20, b"ID of set-of-a-million-contours ") + plain(0x3006, 0x20, listed)
    return file_of(start + plain(0x3006, 0x39, item(roi)), IMPLICIT, SET_CLASS)


# Slices


def sets(**elements):
    """Sets elements, or deletes those that are None."""

    def change(file):
        for keyword, value in elements.items():
            if value is None:
                del file[keyword]
            else:
                setattr(file, keyword, value)

    return change


def raw(keyword, value):
    return lambda file: put(file, keyword, value)


def encapsulated(syntax, pixels):
    def change(file):
        file.file_meta.TransferSyntaxUID = syntax
        file.PixelData = pixels
        file["PixelData"].VR = "OB"
        file["PixelData"].is_undefined_length = True

    return change


def cut(size):
    """The first bytes of a file, or of a negative size without its last ones."""
    return lambda content: content[:size]


def explicit_of(content):
    """A slice's bytes replaced by a lone begin, for what must stand in an explicit file."""
    return lambda _content: content


GAP = "missing"
NO_FILE = "cannot be read|cut off|without SOP Instance UID"

SLICES = [
    Hostile("empty", GAP, content=cut(0)),
    *(
        Hostile(f"cut-at-{size}", f"{NO_FILE}|{GAP}|Pixel Spacing", content=cut(size))
        for size in (90, 131, 133, 200, 333, 500, 750)
    ),
    Hostile("cut-in-pixels", "bytes of element|bytes of pixels", content=cut(-1000)),
    Hostile("cut-by-a-byte", "bytes of element|bytes of pixels", content=cut(-1)),
    Hostile("garbage", NO_FILE, content=lambda c: bytes(128) + b"DICM" + np.random.default_rng(0).bytes(5000)),
    Hostile("zeros", GAP, content=lambda c: bytes(len(c))),
    Hostile("mark-alone", NO_FILE, content=lambda _c: bytes(128) + b"DICM"),
    Hostile("uid-of-4-GB", NO_FILE, content=explicit_of(file_of(element(8, 0x18, b"UN", b"1.2", 0xFFFFFFFE)))),
    Hostile("uid-without-end", NO_FILE, content=explicit_of(file_of(element(8, 0x18, b"UN", b"1.2", 0xFFFFFFFF)))),
    Hostile(
        "pixels-of-4-GB", GAP, content=explicit_of(file_of(begins() + element(0x7FE0, 0x10, b"OB", b"1", 0xFFFFFFF0)))
    ),
    Hostile(
        "odd-length", GAP, content=explicit_of(file_of(begins(uid=b"1.2.3") + element(0x20, 0x32, b"DS", b"1\\2")))
    ),
    Hostile("nested-300-deep", "RecursionError", content=lambda _c: nested(300)),
    Hostile("nested-100000-deep", "RecursionError", content=lambda _c: nested(100_000)),
    Hostile("deflate-bomb", "deflated data set of at most|takes more than", content=lambda _c: deflate_bomb()),
    Hostile("deflate-garbage", NO_FILE, content=explicit_of(file_of(b"\xff" * 999, DEFLATED))),
    Hostile("a-million-items", "takes more than", content=lambda _c: many_items(1_000_000)),
    Hostile("rows-and-columns-65535", GAP, sets(Rows=65535, Columns=65535)),
    Hostile("a-billion-frames", "frames and 0 groups", sets(NumberOfFrames=1_000_000_000)),
    Hostile("two-frames-without-groups", "2 frames and 0 groups", sets(NumberOfFrames=2)),
    Hostile("frames-no-number", "frames|another|missing|bytes", raw("NumberOfFrames", b"-5")),
    Hostile("no-rows", "another size|rows", sets(Rows=0)),
    Hostile("without-rows", "another size|rows", sets(Rows=None)),
    Hostile("without-spacing", "Pixel Spacing", sets(PixelSpacing=None)),
    Hostile("without-position", "Image Position", sets(ImagePositionPatient=None)),
    Hostile("without-orientation", "Image Orientation", sets(ImageOrientationPatient=None)),
    Hostile("without-scale", "Rescale", sets(RescaleSlope=None)),
    Hostile(
        "without-sop-uid", "without SOP Instance UID", content=lambda c: c.replace(b"\x08\0\x18\0", b"\x08\0\x17\0")
    ),
    Hostile("without-pixels", "bytes of pixels", sets(PixelData=None)),
    Hostile("spacing-0", "wanted pixels of 0.01", raw("PixelSpacing", b"0\\0 ")),
    Hostile("spacing-negative", "wanted pixels of 0.01", raw("PixelSpacing", b"-1\\-1 ")),
    Hostile("spacing-nan", "Pixel Spacing", raw("PixelSpacing", b"nan\\nan ")),
    Hostile("spacing-1e308", "wanted pixels of 0.01", raw("PixelSpacing", b"1e308\\1e308 ")),
    Hostile("position-inf", "Image Position", raw("ImagePositionPatient", b"inf\\0\\0 ")),
    Hostile("position-1e308", "100 m of the origin", raw("ImagePositionPatient", b"1e308\\0\\0 ")),
    Hostile("position-of-two", "Image Position", raw("ImagePositionPatient", b"1\\2 ")),
    Hostile("orientation-0", "Image Orientation", raw("ImageOrientationPatient", b"0\\0\\0\\0\\0\\0")),
    Hostile("orientation-askew", "right angles", raw("ImageOrientationPatient", b"1\\0\\0\\1\\0\\0")),
    Hostile("orientation-1e200", "Image Orientation", raw("ImageOrientationPatient", b"1e200\\0\\0\\0\\1e200\\0")),
    Hostile("slope-0", "Rescale Slope", raw("RescaleSlope", b"0 ")),
    Hostile("slope-1e308", "a scale that gives HU", raw("RescaleSlope", b"1e308 ")),
    Hostile("intercept-nan", "Rescale", raw("RescaleIntercept", b"nan ")),
    Hostile("secondary-capture", GAP, sets(SOPClassUID=SecondaryCaptureImageStorage)),
    Hostile("three-samples", "one value a pixel", sets(SamplesPerPixel=3)),
    Hostile("8-bits", "one value a pixel", sets(BitsAllocated=8)),
    Hostile("17-bits-stored", "one value a pixel", sets(BitsStored=17)),
    Hostile("palette", "grey values", sets(PhotometricInterpretation="PALETTE COLOR")),
    Hostile(
        "jpeg-garbage", "pixels|cannot be read", encapsulated(JPEGBaseline8Bit, encapsulate([b"\xff\xd8garbage!"]))
    ),
    Hostile(
        "jpeg-2000-garbage", "pixels|cannot be read", encapsulated(JPEG2000Lossless, encapsulate([b"\xff\x4f" * 99]))
    ),
    Hostile("rle-of-65535-segments", "pixels|cannot be read", encapsulated(RLELossless, encapsulate([b"\xff" * 64]))),
    Hostile("no-fragment", "pixels|cannot be read", encapsulated(RLELossless, struct.pack("<HHI", 0xFFFE, 0xE000, 0))),
    Hostile(
        "fragment-of-4-GB",
        "pixels|cannot be read|cut off",
        encapsulated(RLELossless, struct.pack("<HHIHHI", 0xFFFE, 0xE000, 0, 0xFFFE, 0xE000, 0xFFFFFFF0) + b"1234"),
    ),
    Hostile("a-film", "pixels|cannot be read", encapsulated(MPEG2MPML, encapsulate([b"\0\0\1\xb3" * 9]))),
]


# Structure sets


def liver(*contours, **settings):
    """A liver with contours as bytes."""

    def rois(series_uid):
        roi = organ(1, "Liver", series_uid=series_uid)
        roi.contours, roi.images = list(contours), [None] * len(contours)
        for name, value in settings.items():
            setattr(roi, name, value)
        return [roi]

    return rois


def claims_points(file):
    for item in file.ROIContourSequence[0].ContourSequence:
        item.NumberOfContourPoints = 2_000_000_000


def twice_listed(file):
    file.StructureSetROISequence.append(file.StructureSetROISequence[0])


STRUCTURE_SETS = [
    *(Hostile(f"set-cut-at-{size}", f"{NO_FILE}|no structure", content=cut(size)) for size in (200, 450, 700, -50, -2)),
    Hostile("set-nested", "RecursionError|no structure set", content=lambda _c: nested(50_000, SET_CLASS)),
    Hostile(
        "set-of-a-million-contours", "at most 100,000 items", content=lambda _c: contours_without_number(1_000_000)
    ),
    Hostile("points-nan", "no finite number", rois=liver(b"nan\\nan\\nan\\1\\2\\3\\4\\5\\6 ")),
    Hostile("points-inf", "no finite number", rois=liver(b"inf\\0\\0\\1\\2\\3\\4\\5\\6 ")),
    Hostile("points-1e308", "more than 100 m away", rois=liver(b"1e308\\0\\0\\1\\2\\3\\4\\5\\6")),
    Hostile("points-1e999", "more than 100 m away", rois=liver(b"1e999\\0\\0\\1\\2\\3\\4\\5\\6")),
    Hostile("points-of-four-numbers", "three numbers a point", rois=liver(b"1\\2\\3\\4 ")),
    Hostile("points-of-10-MB", "at most 4 MiB of points", rois=liver(b"1.25\\" * 2_100_000 + b"1")),
    Hostile("claims-two-billion-points", "points that it claims", claims_points),
    Hostile("listed-twice", "no structure", twice_listed),
    Hostile("no-roi", "no structure", sets(StructureSetROISequence=[])),
    Hostile("roi-without-number", "no structure", lambda file: file.StructureSetROISequence[0].pop("ROINumber")),
    Hostile("contours-elsewhere", "elsewhere|off|outside", rois=liver(b"0\\0\\9000\\9\\0\\9000\\9\\9\\9000 ")),
]


# NIfTI


def patched(place, form, *values):
    """A NIfTI file with other values in its header."""

    def change(content):
        struct.pack_into(form, changed := bytearray(content), place, *values)
        return bytes(changed)

    return change


def gz_bomb(content, shape, gibibytes):
    """A NIfTI header of a shape, and zeros, of which no checksum is right."""
    header = nibabel.Nifti1Header(content[:348])
    header.set_data_shape(shape)
    header["vox_offset"] = 352
    packer = zlib.compressobj(1, wbits=-zlib.MAX_WBITS)
    first = packer.compress(header.binaryblock + bytes(4)) + packer.flush(zlib.Z_FULL_FLUSH)
    return b"\x1f\x8b\x08" + bytes(7) + first + zeros_deflated() * (gibibytes * 4096) + packer.flush() + bytes(8)


NIFTI = [
    Hostile("nifti-empty", "wanted NIfTI", content=cut(0)),
    Hostile("nifti-cut-in-header", "wanted NIfTI", content=cut(300)),
    Hostile("nifti-cut-in-voxels", "the file was cut", content=cut(-9)),
    Hostile("nifti-bad-magic", "wanted NIfTI", content=patched(344, "4s", b"n+9\0")),
    Hostile("nifti-pair", "a pair of .hdr and .img", content=patched(344, "4s", b"ni1\0")),
    Hostile("nifti-dim-0", "3-D image|contradicts", content=patched(42, "<h", 0)),
    Hostile("nifti-dim-negative", "3-D image|contradicts", content=patched(42, "<h", -5)),
    Hostile("nifti-dims-of-32767", "at most 2 GiB", content=patched(42, "<3h", 32767, 32767, 32767)),
    Hostile("nifti-8-axes", "contradicts|3-D image|something else", content=patched(40, "<h", 8)),
    Hostile("nifti-film", "3-D image", content=patched(40, "<h4h", 4, 5, 6, 4, 9)),
    Hostile("nifti-no-datatype", "contradicts|type", content=patched(70, "<h", 0)),
    Hostile("nifti-unknown-datatype", "contradicts", content=patched(70, "<h", 9999)),
    Hostile("nifti-rgb", "one number a voxel|contradicts", content=patched(70, "<hh", 128, 24)),
    Hostile("nifti-sform-nan", "finite axes", content=patched(280, "<f", float("nan"))),
    Hostile("nifti-sform-inf", "finite axes", content=patched(292, "<f", float("inf"))),
    Hostile("nifti-sform-0", "finite axes", content=patched(280, "<12f", *[0.0] * 12)),
    Hostile("nifti-sform-flat", "finite axes", content=patched(280, "<8f", 1, 0, 0, 0, 1, 0, 0, 0)),
    Hostile("nifti-no-geometry", "neither sform nor qform", content=patched(252, "<hh", 0, 0)),
    Hostile("nifti-offset-beyond", "that begin within", content=patched(108, "<f", 1e9)),
    Hostile("nifti-offset-nan", "begin within|contradicts", content=patched(108, "<f", float("nan"))),
    Hostile("nifti-slope-1e38", "HU|finite|values", content=patched(112, "<ff", 1e38, 1e38)),
    Hostile("nifti-metres", "lengths in mm", content=patched(123, "B", 1)),
    Hostile("nifti-spacing-1e9", "voxels of 0.01|finite axes", content=patched(280, "<f", 1e5)),
    Hostile("gz-cut", "damaged or cut", content=lambda c: gzip.compress(c)[:-20]),
    Hostile("gz-wrong-checksum", "damaged or cut", content=lambda c: gzip.compress(c)[:-8] + bytes(8)),
    Hostile("gz-garbage", "damaged or cut", content=lambda _c: b"\x1f\x8b\x08" + b"\xff" * 500),
    Hostile("gz-bomb-behind-a-small-image", "found more", content=lambda c: gz_bomb(c, (6, 5, 4), 8)),
    Hostile("gz-bomb-of-8-GB", "at most 2 GiB", content=lambda c: gz_bomb(c, (2048, 2048, 1024), 8)),
    Hostile("gz-bomb-of-2-GB", "GiB of memory", content=lambda c: gz_bomb(c, (1024, 1024, 1023), 2)),
]


# Measuring


def read_image(path):
    """As an import reads it."""
    read_file(path, "image")


def measured(job):
    """What reading a file takes in this process.

    Args:
        job: a function of a module that reads a file, and the path.

    Returns:
        The kind of error it raised, seconds, and the process's peak in bytes until now.
    """
    read, path = job
    began = time.perf_counter()
    try:
        read(path)
        error = ""
    except Exception as raised:  # noqa: BLE001  which one is what is asked
        error = type(raised).__name__
    return error, time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
