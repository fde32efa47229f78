"""How fast CT series are read, beside pydicom alone; and how an import gets faster with a second worker.

The floor of reading is ``pydicom.dcmread(path).pixel_array`` of each file of the series, in any order. Gossamer reads
the headers, sorts and checks the slices, reads the pixels, checks them, makes them HU and puts them into canonical
orientation. Both run on one core, by turns, in one process, with the files in the system's cache; the ratio is of
medians.

The import turns patients with a CT and ten contoured organs into a dataset with one worker and with two, by turns, each
into a folder of its own.

Run: python -m benchmarks.dicom_import [--quick] [--json FILE] [--repeats 5] [--slices 120] [--patients 6]
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RTStructureSetStorage

from benchmarks.figures import Figure, conclude, options_parser
from gossamer.data.importers.run import import_cases
from gossamer.dicom.cases import dicom_cases
from gossamer.dicom.deidentify.pseudonyms import Pseudonyms
from gossamer.dicom.files.headers import read_headers
from gossamer.dicom.series.canonical import to_canonical
from gossamer.dicom.series.find import find_series
from gossamer.dicom.series.volume import read_volume

ORGANS = ("Liver", "Spleen", "Kidney_L", "Kidney_R", "Stomach", "Heart", "Lung_L", "Lung_R", "Bladder", "Prostate")


def main() -> None:
    """Measure and print the figures."""
    parser = options_parser(__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="of each, by turns")
    parser.add_argument("--slices", type=int, default=120)
    parser.add_argument("--patients", type=int, default=6)
    options = parser.parse_args()
    slices, size, patients, repeats = options.slices, 512, options.patients, options.repeats
    if options.quick:
        slices, size, patients, repeats = 4, 64, 2, 1
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        for patient in range(patients):
            write_patient(home / "in" / str(patient), patient, slices, size)
        reading = compare(
            {
                "pydicom alone": lambda: read_with_pydicom(home / "in" / "0"),
                "headers": lambda: read_headers(home / "in" / "0"),
                "gossamer, to canonical HU": lambda: read_with_gossamer(home / "in" / "0"),
            },
            repeats,
        )
        runs = iter(range(2 * repeats))
        importing = compare(
            {f"import, workers: {n}": lambda n=n: run_import(home, next(runs), n, quick=options.quick) for n in (1, 2)},
            repeats,
        )
    print(
        f"\n{slices} slices of {size} x {size}; {patients} patients with {len(ORGANS)} organs; {os.cpu_count()} cores"
    )
    conclude(
        [
            Figure(
                "CT series to HU in canonical orientation, to the pixels by pydicom alone: time",
                reading["gossamer, to canonical HU"] / reading["pydicom alone"],
                1 / 0.7,
            ),
            Figure(
                "import of DICOM with two workers, to one: time",
                importing["import, workers: 2"] / importing["import, workers: 1"],
                0.7,
            ),
        ],
        options,
    )


def compare(what: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each, by turns."""
    times: dict[str, list[float]] = {name: [] for name in what}
    for _ in range(repeats):
        for name, run in what.items():
            began = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - began)
    medians = {name: statistics.median(seconds) for name, seconds in times.items()}
    for name, seconds in medians.items():
        print(f"{name:28}{seconds:8.3f} s, median of {repeats} ({min(times[name]):.3f} to {max(times[name]):.3f})")
    return medians


def read_with_pydicom(folder: Path) -> np.ndarray:
    """The stored values of all slices, in the order of their files."""
    return np.stack([pydicom.dcmread(path).pixel_array for path in folder.iterdir() if path.name != "rs"])


def read_with_gossamer(folder: Path) -> np.ndarray:
    """HU [z, y, x]."""
    [series] = find_series(read_headers(folder).headers).series
    return to_canonical(read_volume(series).voxels, series.stack)[0]


def run_import(home: Path, number: int, workers: int, *, quick: bool) -> None:
    """Import all patients into a folder of its own; to be quick, headers are read in this process."""
    found = dicom_cases(
        home / "in",
        "north",
        {},
        Pseudonyms(bytes(32)),
        val_fraction=0.2,
        seed=0,
        score_cut=False,
        workers=0 if quick else workers,
    )
    done = import_cases(found.cases, home / f"out{number}", workers=workers)
    if done.failed or done.written != len(found.cases):
        raise RuntimeError(f"{done.written} of {len(found.cases)} patients were imported")


# Patients


def write_patient(folder: Path, patient: int, slices: int, size: int) -> None:
    """A CT of noise in a body, and boxes drawn on it."""
    rng = np.random.default_rng(patient)
    folder.mkdir(parents=True)
    texture = rng.normal(1064, 20, (2 * size, size)).astype(np.int16)  # HU 40, stored with Intercept -1024
    y, x = np.indices((size, size)) / size - 0.5
    inside = (x / 0.45) ** 2 + (y / 0.3) ** 2 < 1
    for k in range(slices):
        shift = int(rng.integers(size))
        write_slice(folder, patient, k, np.where(inside, texture[shift : shift + size], 24))
    write_structures(folder, patient, slices, size)


def uid(patient: int, *numbers: int) -> str:
    """A UID of a patient."""
    return ".".join(["1.2.826.0.1.3680043.10.1", str(patient), *map(str, numbers)])


def common(patient: int, sop_class: str, modality: str, instance: str) -> Dataset:
    """What all of a patient's objects have."""
    file = Dataset()
    file.file_meta = FileMetaDataset()
    file.file_meta.MediaStorageSOPClassUID = file.SOPClassUID = sop_class
    file.file_meta.MediaStorageSOPInstanceUID = file.SOPInstanceUID = instance
    file.Modality, file.PatientName, file.PatientID = modality, f"Phantom^{patient}", f"phantom {patient}"
    file.StudyInstanceUID, file.FrameOfReferenceUID = uid(patient, 1), uid(patient, 2)
    return file


def write_slice(folder: Path, patient: int, k: int, pixels: np.ndarray) -> None:
    """One slice, 3 mm from the next."""
    file = common(patient, CTImageStorage, "CT", uid(patient, 3, k + 1))
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file.SeriesInstanceUID, file.InstanceNumber = uid(patient, 3), k + 1
    file.ImageType, file.Manufacturer = ["ORIGINAL", "PRIMARY", "AXIAL"], "Phantom"
    file.ImagePositionPatient, file.ImageOrientationPatient = [-250, -250, 3 * k], [1, 0, 0, 0, 1, 0]
    file.PixelSpacing, file.SliceThickness = [500 / len(pixels)] * 2, 3
    file.RescaleSlope, file.RescaleIntercept = 1, -1024
    file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
    file.Rows, file.Columns = pixels.shape
    file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = 16, 12, 11, 0
    file.PixelData = pixels.astype("<u2").tobytes()
    file["PixelData"].VR = "OW"
    file.save_as(folder / f"{k * 7 % 101:03d}-{k}", enforce_file_format=True)


def write_structures(folder: Path, patient: int, slices: int, size: int) -> None:
    """A structure set of ellipses of 60 points on most slices."""
    file = common(patient, RTStructureSetStorage, "RTSTRUCT", uid(patient, 9))
    file.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    file.SeriesInstanceUID, file.StructureSetLabel = uid(patient, 8), "PLAN"
    file.StructureSetROISequence, file.ROIContourSequence = [], []
    angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    for number, name in enumerate(ORGANS, start=1):
        side = {"L": 60.0, "R": -60.0}.get(name[-1] if name[-2] == "_" else "", 0.0)
        listed, drawn = Dataset(), Dataset()
        listed.ROINumber, listed.ROIName, listed.ROIGenerationAlgorithm = number, name, "MANUAL"
        listed.ReferencedFrameOfReferenceUID = file.FrameOfReferenceUID
        drawn.ReferencedROINumber, drawn.ContourSequence = number, []
        for k in range(slices // 4, slices - slices // 4):
            contour, image = Dataset(), Dataset()
            points = np.stack([side + 40 * np.cos(angles), 30 * np.sin(angles) - number, np.full(60, 3.0 * k)], axis=1)
            image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = CTImageStorage, uid(patient, 3, k + 1)
            contour.ContourImageSequence, contour.ContourGeometricType = [image], "CLOSED_PLANAR"
            contour.NumberOfContourPoints = len(points)
            contour.ContourData = [f"{value:.3f}" for value in points.ravel()]
            drawn.ContourSequence.append(contour)
        file.StructureSetROISequence.append(listed)
        file.ROIContourSequence.append(drawn)
    file.save_as(folder / "rs", enforce_file_format=True)


if __name__ == "__main__":
    main()
