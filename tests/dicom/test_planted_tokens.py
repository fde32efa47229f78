"""More than 200 words of patients, planted wherever a DICOM file has room for text, come out nowhere.

Words stand in every text and code element that a patient's, study's, series', image's and equipment's modules have,
in private elements, nested items, File Meta Information, preambles, padding, names of files, folders and ROIs; numbers
in UIDs and dates. They are sought in all that an import says and writes, with and without errors, in temporary files,
in pages of ``gossamer qa``, in what ``gossamer predict`` says and writes apart from the patient's own DICOM file, and
in what ``gossamer deidentify`` says and gives away. ``gossamer names suggest`` lists ROI names for the site's own
eyes: that is what it is for, and no output of this kind.
"""

import gzip
import json
import os
import re
import subprocess
import sys
import zlib

import pydicom
import pytest
from faults.privacy_tokens import hits
from pydicom.datadict import DicomDictionary
from tests.cli.tiny_model import model_that_finds
from tests.dicom.phantom_dose import write_dose
from tests.dicom.phantom_patient import organ, write_patient
from tests.dicom.phantom_structures import put
from typer.testing import CliRunner

from gossamer.bounded_pool import outcomes
from gossamer.cli.main import app
from gossamer.dicom.deidentify import folder as deidentify_folder

WORD = "zqpatient"
"""All words begin with it; a kind that ``faults.privacy_tokens`` seeks in each form."""

UID_ROOT, DATE = "7770777", "187707"
"""In numbers."""

GROUPS = (0x08, 0x10, 0x18, 0x20, 0x28, 0x32, 0x38, 0x40, 0x88)
TEXTS = ("LO", "SH", "PN", "ST", "LT", "UT", "UC", "AE", "UR", "CS")

NEEDED = frozenset(
    ("SpecificCharacterSet", "ImageType", "Modality", "PhotometricInterpretation", "RescaleType", "PatientPosition")
)
"""Codes without which a slice is none."""


class Planted:
    """Counts the words, so that each is another one."""

    def __init__(self):
        self.count = 0

    def word(self):
        self.count += 1
        return f"{WORD}{self.count:04d}"

    def uid(self):
        self.count += 1
        return f"1.2.{UID_ROOT}.{self.count}"

    def date(self):
        self.count += 1
        return f"{DATE}{self.count % 28 + 1:02d}"

    def in_elements(self, file):
        """Plant in all text elements that a file may have and that do not tell its geometry."""
        for tag, (vr, _, _, retired, keyword) in DicomDictionary.items():
            if tag >> 16 in GROUPS and vr in TEXTS and keyword and not retired and keyword not in NEEDED:
                word = self.word()
                file.add_new(tag, vr, word.upper() if vr == "CS" else f"urn:{word}" if vr == "UR" else word)
        for keyword in ("PatientBirthDate", "StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"):
            setattr(file, keyword, self.date())
        for keyword in ("InstanceCreatorUID", "DeviceUID", "SynchronizationFrameOfReferenceUID"):
            setattr(file, keyword, self.uid())
        file.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL", self.word().upper()]
        self._private(file)
        for keyword in ("RequestAttributesSequence", "ReferencedStudySequence", "OtherPatientIDsSequence"):
            setattr(file, keyword, [self.item()])

    def item(self, depth=2):
        item = pydicom.Dataset()
        item.PatientComments, item.PatientID, item.ReferencedSOPInstanceUID = self.word(), self.word(), self.uid()
        self._private(item)
        if depth:
            item.RequestAttributesSequence = [self.item(depth - 1)]
        return item

    def _private(self, data):
        block = data.private_block(0x0009, self.word(), create=True)
        for element, vr in enumerate(("LO", "UT", "UN", "OB"), start=1):
            word = self.word()
            block.add_new(element, vr, word.encode() if vr in ("UN", "OB") else word)

    def around(self, path):
        """Plant in preamble, File Meta Information and behind the last element."""
        file = pydicom.dcmread(path, force=True)
        file.preamble = self.word().encode().ljust(128)
        file.file_meta.SourceApplicationEntityTitle = self.word()
        file.file_meta.ImplementationVersionName = self.word()
        file.file_meta.PrivateInformationCreatorUID = self.uid()
        file.file_meta.PrivateInformation = self.word().encode() + b"\0"
        file.DataSetTrailingPadding = self.word().encode() + b"\0"
        file.save_as(path, enforce_file_format=True)


FAULTS = {
    "another unit": {"ct": lambda file: setattr(file, "RescaleType", f"{WORD}9001".upper())},
    "pictures": {"ct": lambda file: setattr(file, "PhotometricInterpretation", f"{WORD}9002".upper())},
    "no scale": {"ct": lambda file: put(file, "RescaleSlope", f"{WORD}9003 ".encode())},
    "no position": {"ct": lambda file: put(file, "ImagePositionPatient", f"{WORD}9004 ".encode())},
    "two contents": {"bytes": lambda content: content[:-2] + b"\7\7", "copy": True},
    "cut": {"bytes": lambda content: content[:-700]},
    "not a set": {"set": lambda file: setattr(file, "SOPClassUID", f"1.2.{UID_ROOT}.999")},
    "strange points": {"roi": (b"zqpatient9005 ", "CLOSED_PLANAR")},
    "strange type": {"roi": (b"1\\2\\3 ", f"{WORD}9006".upper())},
    "no names": {"names": True},
    "status": {"set": lambda file: setattr(file, "ApprovalStatus", f"{WORD}9007".upper()), "second": True},
    "another patient": {"set": lambda file: setattr(file, "PatientID", f"{WORD}9008")},
    "no contours": {"roi": (b"", "POINT")},
}
"""What is wrong with a patient of whom nothing can come in."""


def write_planted(folder, number, planted, fault):
    """A patient full of words, with a fault or without."""
    root = f"1.2.{UID_ROOT}.{number}"
    patient = f"{WORD}p{number:02d}"
    liver = organ(1, planted.word() if fault.get("names") else "Liver", series_uid=f"{root}.2")
    if "roi" in fault:
        data, kind = fault["roi"]
        liver.contours, liver.images, liver.kind = [data], [None], kind
    rois = [liver, organ(2, planted.word(), (20, 30), series_uid=f"{root}.2")]

    def in_slice(file, _k):
        planted.in_elements(file) if number == 0 and _k == 0 else planted._private(file)
        file.PatientName, file.PatientID = patient, f"ID of {patient}"
        if "ct" in fault:
            fault["ct"](file)

    def in_set(file):
        if number == 0:
            planted.in_elements(file)
        file.Modality, file.StructureSetName, file.StructureSetDescription = "RTSTRUCT", planted.word(), planted.word()
        file.StructureSetLabel = planted.word()
        file.PatientName, file.PatientID = patient, f"ID of {patient}"
        for listed, observed in zip(file.StructureSetROISequence, file.RTROIObservationsSequence, strict=True):
            listed.ROIDescription, listed.ROIGenerationDescription = planted.word(), planted.word()
            observed.ROIObservationLabel, observed.ROIInterpreter = planted.word(), planted.word()
            observed.ROIObservationDescription = planted.word()
            observed.RTROIIdentificationCodeSequence = [planted.item(0)]
        if "set" in fault:
            fault["set"](file)

    place = folder / f"{planted.word()} {number}"
    structures = write_patient(place, root, patient, rois, change_ct=in_slice, change_set=in_set)
    image = next(place.glob("*.2-*-2"))
    if "bytes" in fault:
        target = image.with_name("copy") if fault.get("copy") else image
        target.write_bytes(fault["bytes"](image.read_bytes()))
    if fault.get("second"):
        (place / "second").write_bytes(structures.read_bytes().replace(f"{root}.9".encode(), f"{root}.8".encode()))
    return place


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    """A folder of patients full of words: one that comes in, and one for each fault."""
    folder = tmp_path_factory.mktemp("planted") / f"{WORD}0000 exports"
    planted = Planted()
    places = [write_planted(folder, n, planted, fault) for n, fault in enumerate([{}, *FAULTS.values()])]
    dose = write_dose(places[0] / f"{planted.word()}.dcm", PatientID=f"ID of {WORD}p00", DoseComment=planted.word())
    for path in (*places[0].glob("*-0"), *places[0].glob("*rs.dcm"), dose):
        planted.around(path)
    (folder / f"{planted.word()}.txt").write_text(planted.word())
    (folder / "hostile").write_bytes(bytes(128) + b"DICM" + planted.word().encode() * 9)
    assert planted.count > 600
    return folder


def assert_clean(what, *contents):
    for content in contents:
        assert not hits(content, [WORD]), what
        for layer in layers_of(content):
            assert UID_ROOT.encode() not in layer, what
            assert not re.search(DATE.encode() + rb"\d\d", layer), what


def layers_of(content):
    return [content, *([gzip.decompress(content)] if content[:2] == b"\x1f\x8b" else [])]


def assert_folder_clean(folder):
    for path in folder.rglob("*"):
        assert_clean(path.name, str(path.relative_to(folder)).encode(), path.read_bytes() if path.is_file() else b"")


def test_the_words_are_there_before_and_the_search_finds_them(exports):
    for path in exports.rglob("*"):
        if path.is_file() and path.name not in ("copy", "second"):
            assert hits(path.read_bytes() + str(path).encode(), [WORD])
    with pytest.raises(AssertionError):
        assert_clean("", f"2.25.{UID_ROOT}".encode())
    with pytest.raises(AssertionError):
        assert_clean("", gzip.compress(f"{DATE}05".encode()))
    with pytest.raises(AssertionError):
        assert_clean("", zlib.compress(f"{WORD}0005".encode()))


@pytest.fixture
def gossamer(monkeypatch):
    """A command in this process."""

    def here(function, jobs, bounds_of, *, workers, at_a_time=1):
        return outcomes(function, jobs, bounds_of, workers=0, at_a_time=at_a_time)

    monkeypatch.setattr(deidentify_folder, "outcomes", here)
    monkeypatch.setattr("gossamer.data.importers.run.outcomes", here)
    monkeypatch.setattr("gossamer.dicom.files.headers.outcomes", here)
    monkeypatch.setattr("gossamer.dicom.rtstruct.skim.outcomes", here)
    monkeypatch.setattr("os.fsync", lambda _descriptor: None)
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_an_import_with_errors_says_and_writes_none_of_them_nor_do_its_workers(exports, tmp_path):
    (tmp_path / "temporary").mkdir()
    command = [sys.executable, "-c", "from gossamer.cli.main import main; main()", "import", "dicom", str(exports)]
    command += ["--out", str(tmp_path / "out"), "--workers", "1"]
    environment = {**os.environ, "TMPDIR": str(tmp_path / "temporary")}
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, timeout=120, check=False)
    assert b"GOS-306: site dicom: wanted at most 1 bad cases" in done.stderr
    assert_clean("stdout and stderr", done.stdout, done.stderr)
    assert_folder_clean(tmp_path)


def test_an_import_says_and_writes_none_of_them(gossamer, exports, tmp_path):
    done = gossamer(
        "import", "dicom", exports, "--out", tmp_path / "out", "--max-set-aside", 1, "--val-fraction", 0, "--json"
    )
    said = json.loads(done.stdout)
    [site] = said["sites"]
    assert site["train"] == 1
    reasons = [bad["reason"] for bad in (*site["set_aside"], *said["left_out"])]
    assert len(reasons) >= 10
    assert len({re.sub("case [a-z2-7]{10}", "", reason) for reason in reasons}) >= 9, "errors differ"
    assert len(said["files"]["unreadable"]) >= 1
    assert_clean("stdout and stderr", done.output.encode())
    assert_folder_clean(tmp_path)


def test_pages_of_an_imported_patient_have_none_of_them(gossamer, exports, tmp_path):
    gossamer("import", "dicom", exports, "--out", tmp_path / "out", "--max-set-aside", 1, "--val-fraction", 0)
    done = gossamer("qa", tmp_path / "out" / "dicom", "--workers", 1)
    assert done.exit_code == 0
    assert_clean("stdout and stderr", done.output.encode())
    assert len(list((tmp_path / "out" / "qa").rglob("*.html"))) == 2
    assert_folder_clean(tmp_path)


@pytest.mark.parametrize("form", ["nifti", "rtstruct"])
def test_a_prediction_says_and_writes_none_of_them_but_into_the_patient_s_own_dicom(gossamer, exports, tmp_path, form):
    model = model_that_finds(tmp_path / "m", "Parotid_L")
    done = gossamer("predict", "-i", exports, "-o", tmp_path / "out", "-m", model, "--format", form)
    assert "Parotid_L" in done.stdout
    assert_clean("what it said", done.output.encode(), str(done.exception or "").encode())
    own = list(tmp_path.rglob("*.dcm"))
    assert bool(own) == (form == "rtstruct")
    for path in own:
        assert_clean("a file's name", str(path.relative_to(tmp_path)).encode())
        assert pydicom.dcmread(path).PatientName.family_name.startswith(f"{WORD}p")  # whose contours they are
        path.unlink()
    assert_folder_clean(tmp_path)


@pytest.mark.parametrize("options", [(), ("--shift-dates", "--json")], ids=["dates-removed", "dates-moved"])
def test_what_is_deidentified_has_none_of_them(gossamer, exports, tmp_path, options):
    out = tmp_path / "out"
    # One key in a hundred makes a UID that happens to hold the digits sought.
    out.with_name("out.key").write_text("2a" * 32)
    done = gossamer("deidentify", exports, "--out", out, *options)
    assert_clean("what it said", done.output.encode(), str(done.exception or "").encode())
    assert_folder_clean(tmp_path)
    written = list(out.rglob("*.dcm"))
    assert {path.name.split(".")[0] for path in written} == {"CT", "RTSTRUCT", "RTDOSE"}
    assert len(written) > 30
    for path in written:
        assert path.read_bytes()[:128] == bytes(128)
        texts = [str(e.value) for e in pydicom.dcmread(path).iterall() if e.VR in TEXTS and e.keyword != "CodeMeaning"]
        assert not [text for text in texts if WORD in text.lower()]


def test_errors_of_the_commands_themselves_name_no_path(gossamer, exports, tmp_path):
    absent = exports / f"{WORD}0001" / "absent"
    refused = [
        gossamer("import", "dicom", absent, "--out", tmp_path / "out"),
        gossamer("import", "dicom", exports, "--out", tmp_path / "out", "--names", absent),
        gossamer("deidentify", absent, "--out", tmp_path / "out"),
        gossamer("deidentify", exports, "--out", exports / "inside"),
        gossamer("deidentify", exports, "--out", tmp_path / "out", "--names", absent),
        gossamer("deidentify", exports, "--out", tmp_path / "out", "--key", next(exports.glob("*.txt"))),
        gossamer("names", "suggest", absent),
    ]
    for done in refused:
        assert done.exit_code != 0
        assert_clean("what it said", done.output.encode(), str(done.exception).encode())
