"""A real PACS, started once for all tests of this folder."""

import pytest
from tests.dicom.pacs.peers import DICOMWEB, ORTHANC, running_orthanc


@pytest.fixture(scope="session")
def orthanc(tmp_path_factory):
    """Orthanc with its DICOMweb plugin; each test stores series of its own in it."""
    if ORTHANC is None or not DICOMWEB.exists():
        pytest.skip(
            "needs Orthanc with its DICOMweb plugin (Debian: orthanc, orthanc-dicomweb), which is not installed"
        )
    with running_orthanc(tmp_path_factory.mktemp("orthanc")) as running:
        yield running
