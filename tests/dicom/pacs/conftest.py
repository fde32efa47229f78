"""A real PACS, started once for all tests of this folder."""

import pytest
from tests.dicom.pacs.bench import Bench
from tests.dicom.pacs.peers import needs_orthanc, running_orthanc


@pytest.fixture(scope="session")
def orthanc(tmp_path_factory):
    """Orthanc with its DICOMweb plugin; each test stores series of its own in it."""
    needs_orthanc()
    with running_orthanc(tmp_path_factory.mktemp("orthanc")) as running:
        yield running


@pytest.fixture(autouse=True)
def _read_here(files_are_read_here):
    """Files are read in this process."""


@pytest.fixture
def bench(tmp_path):
    """A watch on a virtual clock."""
    return Bench(tmp_path)
