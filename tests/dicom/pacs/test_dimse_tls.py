"""DIMSE by TLS against a real PACS: both ways, by certificates alone, and never in plain text by itself."""

import socket
import ssl
import time
from contextlib import contextmanager

import numpy as np
import pytest
from faults.ports import own_port
from pydicom import dcmread
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE
from tests.dicom.pacs.certificates import Authority
from tests.dicom.pacs.peers import AET, needs_orthanc, pick_sockets_up, running_orthanc
from tests.dicom.phantom_series import SERIES, STUDY, image_uid, write_series

from gossamer.dicom.files.headers import read_headers
from gossamer.dicom.pacs import our_port as our_port_module
from gossamer.dicom.pacs.base import Query, SeriesAtPacs
from gossamer.dicom.pacs.incoming import Incoming
from gossamer.dicom.pacs.line import Line
from gossamer.dicom.pacs.opened import open_pacs
from gossamer.dicom.pacs.our_port import listening
from gossamer.dicom.pacs.receiver import Receiver
from gossamer.dicom.pacs.settings import DimseSettings
from gossamer.dicom.pacs.tls import Tls
from gossamer.dicom.series.find import find_series
from gossamer.dicom.series.volume import read_volume
from gossamer.errors import ConfigurationError, PacsAwayError, PacsCertificateError, PacsNotTlsError

SHAPE = (3, 6, 8)

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # pynetdicom, where an association fails


@pytest.fixture(autouse=True)
def _nothing_lies_about():
    yield
    pick_sockets_up()


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """A hospital's CA with the PACS's certificate and ours, and a stranger's CA."""
    folder = tmp_path_factory.mktemp("keys")
    hospital, stranger = Authority(folder / "hospital"), Authority(folder / "stranger")
    hospital.sign("pacs")
    hospital.sign("ours")
    stranger.sign("ours")
    return folder


@pytest.fixture(scope="module")
def secure(tmp_path_factory, keys):
    """Orthanc that speaks TLS alone, and wants a certificate; AE title PLAIN is one that it calls in plain text."""
    needs_orthanc()
    port = own_port()
    with running_orthanc(
        tmp_path_factory.mktemp("orthanc"),
        DicomTlsEnabled=True,
        DicomTlsCertificate=str(keys / "hospital/pacs.pem"),
        DicomTlsPrivateKey=str(keys / "hospital/pacs.key"),
        DicomTlsTrustedCertificates=str(keys / "hospital/ca.pem"),
        DicomTlsRemoteCertificateRequired=True,
        DicomModalities={
            "ours": {"AET": "GOSSAMER", "Host": "127.0.0.1", "Port": port, "UseDicomTls": True},
            "plain": {"AET": "PLAIN", "Host": "127.0.0.1", "Port": port, "UseDicomTls": False},
        },
    ) as running:
        yield running, port


OURS = {"certificate_file": "hospital/ours.pem", "key_file": "hospital/ours.key"}


def settings_for(port, own_port=None, **changes):
    own = {} if own_port is None else {"own_port": own_port, "listen": "127.0.0.1"}
    files = {"ca_file": "hospital/ca.pem", **OURS}
    return DimseSettings(**{"host": "127.0.0.1", "port": port, "ae_title": AET} | files | own | changes)


def pacs_at(keys, port, own_port=None, **changes):
    from gossamer.dicom.pacs.settings import PacsSettings

    return open_pacs(PacsSettings(dimse=settings_for(port, own_port, **changes)), keys)


@pytest.mark.parametrize("kind", ["move", "get"])
def test_series_goes_up_is_found_and_comes_back_by_tls(secure, keys, tmp_path, kind):
    orthanc, own_port = secure
    voxels = np.random.default_rng(7).integers(-1000, 2000, SHAPE).astype(np.int16)
    study = generate_uid()
    uids = {"study_uid": study, "series_uid": generate_uid()[:40]}
    paths = write_series(tmp_path / "up", voxels=voxels, syntax=ExplicitVRLittleEndian, **uids)
    with pacs_at(keys, orthanc.dicom, own_port if kind == "move" else None) as pacs:
        assert pacs.check() == "C-ECHO and C-FIND"
        assert pacs.store(paths) == 0
        [found] = pacs.find_series(Query(study_uid=study))
        assert pacs.fetch(found, tmp_path / "down") == 3
    [series] = find_series(read_headers(tmp_path / "down").headers).series
    np.testing.assert_array_equal(read_volume(series).voxels, voxels)


def test_pacss_own_certificate_does_in_place_of_a_ca(secure, keys):
    with pacs_at(keys, secure[0].dicom, ca_file="hospital/pacs.pem") as pacs:
        assert pacs.check() == "C-ECHO and C-FIND"


@pytest.mark.parametrize(
    ("changes", "meant"),
    [
        (
            {"ca_file": "stranger/ca.pem"},
            "trusted here; found: (self-signed certificate in|unable to get local issuer)",
        ),
        (
            {"ca_file": "hospital/ours.pem"},
            "trusted here; found: (self-signed certificate in|unable to get local issuer)",
        ),
        ({"ca_file": None}, "trusted here; found: (self-signed certificate in|unable to get local issuer)"),
        ({"host": "localhost"}, "trusted here; found: Hostname mismatch"),
        ({"certificate_file": None, "key_file": None}, "accept our certificate; found that it ends the handshake"),
        (
            {"certificate_file": "stranger/ours.pem", "key_file": "stranger/ours.key"},
            "accept our certificate; found that it ends the handshake: unknown ca",
        ),
    ],
)
def test_certificate_that_one_side_does_not_trust_ends_it_and_says_which(secure, keys, changes, meant):
    with pacs_at(keys, secure[0].dicom, **changes) as pacs, pytest.raises(PacsCertificateError, match=meant):
        pacs.check()


def test_plain_pacs_is_told_apart_and_hears_nothing(orthanc, keys):
    with pacs_at(keys, orthanc.dicom) as pacs, pytest.raises(PacsNotTlsError, match="hangs up"):
        pacs.check()


def test_plain_text_to_a_pacs_with_tls_is_no_association(secure, keys):
    plain = dict.fromkeys(("ca_file", "certificate_file", "key_file"))
    with (
        pacs_at(keys, secure[0].dicom, plain_dimse=True, **plain) as pacs,
        pytest.raises(PacsAwayError, match="hangs up, who speaks no DICOM, or wants TLS"),
    ):
        pacs.check()


def test_pacs_that_calls_our_port_in_plain_text_is_not_listened_to(secure, keys, tmp_path):
    orthanc, own_port = secure
    study = generate_uid()
    paths = write_series(tmp_path / "up", shape=SHAPE, study_uid=study, series_uid=generate_uid()[:40])
    with pacs_at(keys, orthanc.dicom, own_port, own_ae_title="PLAIN") as pacs:
        pacs.store(paths)
        [found] = pacs.find_series(Query(study_uid=study))
        with pytest.raises(PacsNotTlsError, match="at own_port"):
            pacs.fetch(found, tmp_path / "down")
    assert [p.name for p in tmp_path.iterdir()] == ["up"]


@contextmanager
def our_port(keys, tmp_path):
    """Our port with TLS, open for one image; yields it, and what has been taken."""
    settings = settings_for(104, own_port())
    with Incoming(SeriesAtPacs(STUDY, SERIES, "CT", 1), tmp_path / "down", [image_uid(0)]) as incoming:
        receiver = Receiver(incoming, lambda n, of: None)
        with listening(Line(settings, Tls(settings, keys)), receiver):
            yield settings.own_port, incoming, receiver


def calls(keys, port, certificate, image):
    """Whether somebody with this certificate can store an image at our port."""
    context = ssl.create_default_context(cafile=keys / "hospital/ca.pem")
    if certificate is not None:
        context.load_cert_chain(keys / f"{certificate}.pem", keys / f"{certificate}.key")
    ae = AE(AET)
    ae.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    caller = ae.associate("127.0.0.1", port, ae_title="GOSSAMER", tls_args=(context, "127.0.0.1"))
    if not caller.is_established:
        return False
    taken = caller.send_c_store(image).Status == 0
    caller.release()
    return taken


def raise_what_comes(receiver):
    """Each caller has a thread, which may note a refusal after the caller has heard of it."""
    until_s = time.monotonic() + 60
    while time.monotonic() < until_s:
        receiver.raise_error()
        time.sleep(0.01)


def test_caller_that_says_nothing_holds_up_nobody_and_strangers_are_not_let_in(keys, tmp_path, monkeypatch):
    monkeypatch.setattr(our_port_module, "CONNECT_S", 300.0)
    [path] = write_series(tmp_path / "up", shape=(1, 4, 4), syntax=ExplicitVRLittleEndian)
    began = time.monotonic()
    with our_port(keys, tmp_path) as (port, incoming, receiver), socket.create_connection(("127.0.0.1", port)):
        for certificate in (None, "stranger/ours"):
            assert not calls(keys, port, certificate, dcmread(path))
            with pytest.raises(PacsCertificateError, match="at own_port"):
                raise_what_comes(receiver)
        assert calls(keys, port, "hospital/pacs", dcmread(path))
        assert not incoming.missing
        receiver.raise_error()  # who else called no longer matters
    assert time.monotonic() - began < 300  # no handshake's timeout is waited for


@pytest.mark.parametrize(
    ("spoil", "meant"),
    [
        (lambda folder: (folder / "ours.key").chmod(0o640), "mode 0640, at key_file"),
        (lambda folder: (folder / "ours.key").unlink(), "none that can be read, at key_file"),
        (lambda folder: (folder / "ca.pem").write_text("no PEM"), "at ca_file"),
        (lambda folder: (folder / "ours.pem").write_bytes((folder / "ca.pem").read_bytes()), "fit each other"),
    ],
)
def test_key_that_others_may_read_and_files_that_do_not_fit_are_named(tmp_path, spoil, meant):
    Authority(tmp_path / "hospital").sign("ours")
    spoil(tmp_path / "hospital")
    with pytest.raises(ConfigurationError, match=meant):
        Tls(settings_for(104), tmp_path)


def test_key_with_a_passphrase_is_refused_rather_than_asked_for(tmp_path):
    from cryptography.hazmat.primitives import serialization

    _, path = Authority(tmp_path / "hospital").sign("ours")
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    locked = serialization.BestAvailableEncryption(b"s3cret")
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, locked)
    )
    with pytest.raises(ConfigurationError, match="passphrase"):
        Tls(settings_for(104), tmp_path)
