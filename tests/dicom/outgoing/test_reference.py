"""What is copied from a CT series: positions, to the letter."""

from tests.dicom.phantom_series import write_multiframe, write_series
from tests.dicom.phantom_structures import put

from gossamer.dicom.files.headers import read_headers
from gossamer.dicom.outgoing.reference import check_reference, reference_of
from gossamer.dicom.series.find import find_series


def reference_to(folder):
    [series] = find_series(read_headers(folder).headers).series
    return reference_of(series)


def test_positions_are_the_texts_of_the_files_whatever_stands_around_them(tmp_path):
    def change(file, k):
        put(file, "ImagePositionPatient", b"-100.0\0\\ -50.00\\+%d.250 " % (20 + 3 * k))

    write_series(tmp_path, shape=(3, 6, 8), change=change)
    reference = reference_to(tmp_path)
    check_reference(reference)
    assert reference.positions == tuple(("-100.0", "-50.00", f"+{z}.250") for z in (20, 23, 26))


def test_positions_of_frames_are_the_texts_of_their_groups(tmp_path):
    write_multiframe(tmp_path, ["26.00", "20.00", "23.00"])
    reference = reference_to(tmp_path)
    check_reference(reference)
    assert reference.positions == tuple(("-100.0", "-50.0", z) for z in ("20.00", "23.00", "26.00"))
    assert reference.frame_numbers == (2, 3, 1)
