"""One patient's CT and structure set that refer to each other, with an organ that may stay and a target."""

import numpy as np
from tests.dicom.phantom_series import image_uid, write_series
from tests.dicom.phantom_structures import Drawn, box, write_structures

SHAPE, SPACING, FIRST = (5, 30, 40), (3.0, 1.0, 0.5), (-100.0, -50.0, 20.0)


def body(shape=SHAPE):
    """HU [k, r, c]: a patient from column 2 to 37 in air, each slice another."""
    voxels = np.full(shape, -1000, np.int16)
    voxels[:, 3:27, 2:38] = 40 + np.arange(shape[0])[:, None, None]
    return voxels


def organ(number, name, columns=(5, 9), slices=(1, 2, 3), series_uid="1.2.3.2"):
    """A box on some slices; each contour refers to its image."""
    contours = [box((10, 13), columns, FIRST[2] + k * SPACING[0]) for k in slices]
    return Drawn(number, name, contours, images=[image_uid(k, series_uid) for k in slices])


def write_patient(folder, root="1.2.3", patient="Doe^Jane", rois=None, *, change_ct=None, change_set=None, **settings):
    """Write a CT of 5 slices and its structure set.

    Args:
        folder: for all files.
        root: of all UIDs: study .1, series .2, frame of reference .3, structure set .9.
        patient: Patient's Name; the ID is ``ID of`` it.
        rois: of the structure set; by default a liver and a target.
        change_ct: as ``change`` of ``write_series``.
        change_set: called with the data set of the structure set.
        **settings: of ``write_series``.
    """
    uids = {"series_uid": f"{root}.2", "study_uid": f"{root}.1", "frame_uid": f"{root}.3"}
    series = {"voxels": body(), "spacing": SPACING, "ipp": FIRST} | settings
    write_series(folder, **series, patient=patient, change=change_ct, **uids)
    if rois is None:
        of_series = {"series_uid": uids["series_uid"]}
        rois = [organ(1, "Liver", **of_series), organ(2, "PTV of Jane", (20, 30), **of_series)]
    for roi in rois:
        roi.frame_uid = uids["frame_uid"]

    def change(file):
        file.PatientName, file.PatientID = patient, f"ID of {patient}"
        file.PatientBirthDate, file.PatientSex, file.ReferringPhysicianName = "", "", ""
        file.StudyDate, file.StudyTime, file.StudyID, file.AccessionNumber = "20240229", "123000", "1", ""
        file.SeriesNumber, file.OperatorsName = 4, ""
        file.FrameOfReferenceUID, file.PositionReferenceIndicator = uids["frame_uid"], ""
        file.SOPInstanceUID = file.file_meta.MediaStorageSOPInstanceUID = f"{root}.9"
        if change_set:
            change_set(file)

    images = [image_uid(k, f"{root}.2") for k in range(SHAPE[0])]
    return write_structures(folder / f"{root}-rs.dcm", rois, image_uids=images, change=change, **uids)
