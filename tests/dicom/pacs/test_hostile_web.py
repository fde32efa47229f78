"""A DICOMweb server that lies, breaks off, or never ends: nothing is half-fetched or goes where it should not."""

import json
import logging
import ssl
from base64 import b64encode

import pytest
from tests.dicom.pacs.certificates import Authority
from tests.dicom.pacs.peers import dripping_http, scripted_http
from tests.dicom.phantom_series import SERIES, STUDY, image_uid, write_series

from gossamer.dicom.pacs import web_session
from gossamer.dicom.pacs.base import Query, SeriesAtPacs
from gossamer.dicom.pacs.opened import open_pacs
from gossamer.dicom.pacs.settings import PacsSettings, WebSettings
from gossamer.errors import (
    ConfigurationError,
    NotFetchedError,
    NotStoredError,
    PacsAwayError,
    PacsCertificateError,
    PacsError,
    PacsNotTlsError,
    PacsRefusedError,
)

FOUND = SeriesAtPacs(STUDY, SERIES, "CT", 2)
DICOM_JSON, DICOM = "application/dicom+json", 'multipart/related; type="application/dicom"; boundary=AB'


def pacs_at(port, home, **changes):
    return open_pacs(PacsSettings(web=WebSettings(**{"url": f"http://127.0.0.1:{port}"} | changes)), home)


def listed(*uids, tag="00080018"):
    return 200, DICOM_JSON, json.dumps([{tag: {"vr": "UI", "Value": [uid]}} for uid in uids]).encode()


def part(content, end=b"\r\n--AB--"):
    return 200, DICOM, b"--AB\r\nContent-Type: application/dicom\r\n\r\n" + content + end


@pytest.fixture
def slices(tmp_path):
    return {image_uid(k): path.read_bytes() for k, path in enumerate(write_series(tmp_path / "up", shape=(2, 4, 4)))}


def fetched(tmp_path, images, announced=None):
    """Fetch from a server that announces UIDs and gives to each an answer; returns what is left on the disk."""

    def answer(_method, path):
        if "/instances?" in path:
            return listed(*(announced or images))
        return images[path.rpartition("/")[2]]

    home = tmp_path / "home"
    home.mkdir()
    try:
        with scripted_http(answer) as port, pacs_at(port, home) as pacs:
            pacs.fetch(FOUND, home / "down")
    finally:
        left = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if "up" not in p.parts)
        assert left == (["home"] if not (home / "down").exists() else [*left])
    return sorted((home / "down").iterdir())


def test_honest_server_is_believed(tmp_path, slices):
    paths = fetched(tmp_path, {uid: part(content) for uid, content in slices.items()})
    assert {path.read_bytes() for path in paths} == set(slices.values())


def test_file_without_a_multipart_around_it_is_taken(tmp_path, slices):
    assert len(fetched(tmp_path, {uid: (200, "application/dicom", content) for uid, content in slices.items()})) == 2


def answers_to_the_second_image(content):
    return {
        "without its end": part(content[:-30], end=b""),
        "cut off within": part(content[:200]),
        "another image": None,
        "two files": (200, DICOM, part(content, end=b"")[2] + part(content)[2].join((b"\r\n", b""))),
        "a page": (200, "text/html", b"<html>login</html>"),
        "no header's end": (200, DICOM, b"--AB" + b"x" * 2**15),
        "gone": (404, "text/plain", b""),
        "empty": part(b""),
    }


@pytest.mark.parametrize("how", answers_to_the_second_image(b""))
def test_series_of_which_one_image_is_wrong_leaves_nothing(tmp_path, slices, how):
    (one, first), (other, second) = slices.items()
    wrong = answers_to_the_second_image(second)[how] or part(first)
    with pytest.raises(NotFetchedError) as raised:
        fetched(tmp_path, {one: part(first), other: wrong})
    assert STUDY not in str(raised.value)


@pytest.mark.parametrize(
    "uid", ["../../evil", "/etc/passwd", "1.2/../3", "1..2", "", "1." * 40 + "1", "1.2%2f3", "..", "01.2"]
)
def test_announced_name_that_is_no_uid_is_neither_asked_for_nor_written(tmp_path, uid):
    with pytest.raises(NotFetchedError):
        fetched(tmp_path, {}, announced=["1.2.3", uid])
    assert not (tmp_path / "evil").exists()


def test_series_under_a_name_that_is_no_uid_is_not_asked_for(tmp_path):
    asked = []
    with scripted_http(lambda _m, path: asked.append(path)) as port, pacs_at(port, tmp_path) as pacs:
        for series in (SeriesAtPacs("../x", SERIES, "CT", 1), SeriesAtPacs(STUDY, "../x", "CT", 1)):
            with pytest.raises(NotFetchedError, match="digits and dots"):
                pacs.fetch(series, tmp_path / "down")
    assert asked == []


def test_line_that_breaks_within_an_image_is_an_outage_and_leaves_nothing(tmp_path, slices):
    """The server's own count of bytes is longer than what it sends."""
    content = next(iter(slices.values()))

    def answer(_method, path):
        if "/instances?" in path:
            return listed(image_uid(0))
        return *part(content[:100]), 99999

    with (
        scripted_http(answer) as port,
        pacs_at(port, tmp_path) as pacs,
        pytest.raises(PacsAwayError),
    ):
        pacs.fetch(FOUND, tmp_path / "down")
    assert [p.name for p in tmp_path.iterdir()] == ["up"]


@pytest.mark.parametrize(
    ("answer", "error", "meant"),
    [
        ((401, "text/plain", b""), PacsRefusedError, "401"),
        ((403, "text/plain", b""), PacsRefusedError, "403"),
        ((503, "text/plain", b""), PacsAwayError, "overloaded"),
        ((500, "text/plain", b"Doe^Jane"), PacsError, "500"),
        ((200, "text/html", b"<html>Doe^Jane</html>"), PacsError, "DICOM JSON"),
        ((200, DICOM_JSON, b'{"a": '), PacsError, "DICOM JSON"),
        ((302, "http://127.0.0.1:9/", b""), PacsError, "sends to another address"),
        ((200, DICOM_JSON, b"[" + b" " * 5000), PacsError, "found more"),
        ((200, DICOM_JSON, b"[" * 3999), PacsError, "DICOM JSON"),
    ],
)
def test_answer_that_is_none_is_named_without_its_text(tmp_path, monkeypatch, answer, error, meant):
    monkeypatch.setattr(web_session, "MAX_ANSWER_BYTES", 4000)
    with scripted_http(lambda _method, _path: answer) as port, pacs_at(port, tmp_path) as pacs:
        with pytest.raises(error, match=meant) as raised:
            pacs.find_series(Query(modality="CT"))
        assert type(raised.value) is error
        assert "Doe" not in str(raised.value)


def test_password_is_not_carried_to_where_a_server_sends(tmp_path):
    (tmp_path / "token").write_text("s3cret")
    (tmp_path / "token").chmod(0o600)
    came = []
    with (
        scripted_http(lambda _m, path: came.append(path) or listed()) as thief,
        scripted_http(lambda _m, _path: (302, f"http://127.0.0.1:{thief}/", b"")) as port,
        pacs_at(port, tmp_path, token_file="token") as pacs,
        pytest.raises(PacsError, match="another address"),
    ):
        pacs.find_series(Query())
    assert came == []


@pytest.fixture(scope="module")
def hospital(tmp_path_factory):
    """A CA, with a PACS of its own: ``pacs.pem``, ``pacs.key``."""
    authority = Authority(tmp_path_factory.mktemp("tls"))
    authority.sign("pacs")
    return authority.ca_file


def test_certificate_is_checked_unless_the_hospitals_ca_is_named(tmp_path, monkeypatch, hospital):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(hospital))  # the environment does not decide whom we trust
    tls, came = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), []
    tls.load_cert_chain(hospital.with_name("pacs.pem"), hospital.with_name("pacs.key"))
    with scripted_http(lambda _m, path: came.append(path) or listed(), tls) as port:
        with pacs_at(port, tmp_path, url=f"https://127.0.0.1:{port}") as pacs:
            with pytest.raises(PacsCertificateError, match="trusted here; found: unable to get local issuer"):
                pacs.check()
            assert came == []
        with pacs_at(port, tmp_path, url=f"https://127.0.0.1:{port}", ca_file=str(hospital)) as pacs:
            assert pacs.check() == "QIDO-RS"
    with pytest.raises(ConfigurationError, match="ca_file"):
        pacs_at(port, tmp_path, ca_file="absent.pem")


def test_plain_text_in_place_of_tls_is_told_apart(tmp_path):
    came = []
    with (
        scripted_http(lambda _m, path: came.append(path) or listed()) as port,
        pacs_at(port, tmp_path, url=f"https://127.0.0.1:{port}") as pacs,
        pytest.raises(PacsNotTlsError, match="found plain text"),
    ):
        pacs.check()
    assert came == []


def test_slash_at_the_end_of_an_address_means_nothing(tmp_path, slices):
    came = []

    def answer(_method, path):
        came.append(path.partition("?")[0])
        return (200, DICOM_JSON, b"{}") if came[-1].endswith("studies") else listed(SERIES, tag="0020000E")

    with scripted_http(answer) as port, pacs_at(port, tmp_path, url=f"http://127.0.0.1:{port}/rs/") as pacs:
        pacs.find_series(Query())
        pacs.store(sorted((tmp_path / "up").iterdir())[:1])
    assert set(came) == {"/rs/series", "/rs/studies"}


def test_password_of_any_script_is_sent_and_a_token_is_one_line(tmp_path):
    seen = []
    for name, text in (("word", "Schlüssel-ключ"), ("token", "first\nsecond")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    with scripted_http(lambda _m, _p: listed()) as port:
        with pacs_at(port, tmp_path, user="ä", password_file="word") as pacs:
            pacs._session.hooks["response"].append(
                lambda answer, **_: seen.append(answer.request.headers["Authorization"])
            )
            pacs.check()
        with pytest.raises(ConfigurationError, match="one line of ASCII") as raised:
            pacs_at(port, tmp_path, token_file="token")
    assert seen == ["Basic " + b64encode("ä:Schlüssel-ключ".encode()).decode()]  # RFC 7617 with UTF-8
    assert "second" not in str(raised.value)


def test_odd_json_is_no_series_and_a_server_without_pages_ends(tmp_path):
    odd = [1, None, {"0020000E": 7}, {"0020000E": {"Value": {}}}, {"0020000E": {"Value": [SERIES]}, "00080060": []}]
    body = json.dumps(odd).encode()
    with scripted_http(lambda _m, _p: (200, DICOM_JSON, body)) as port, pacs_at(port, tmp_path) as pacs:
        assert [(one.series_uid, one.modality) for one in pacs.find_series(Query())] == [("", ""), (SERIES, "")]


def test_text_that_is_longer_than_any_may_be_is_not_kept(tmp_path):
    item = {
        tag: {"Value": [text]} for tag, text in (("0020000E", SERIES), ("0008103E", "x" * 257), ("00081010", "CT1"))
    }
    body = json.dumps([item]).encode()
    with scripted_http(lambda _m, _p: (200, DICOM_JSON, body)) as port, pacs_at(port, tmp_path) as pacs:
        [found] = pacs.find_series(Query())
    assert (found.series_uid, found.description, found.station) == (SERIES, "", "CT1")


def test_address_with_a_patients_uids_is_not_printed_where_a_head_is_odd(tmp_path, monkeypatch, capsys):
    """urllib3 would warn of the line, with the address; Python prints warnings that nobody handles."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # pytest's own
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nodd\r\n\r\n[]"
    with dripping_http(answer) as port, pacs_at(port, tmp_path) as pacs:
        assert pacs.find_series(Query(study_uid=STUDY)) == []
    assert capsys.readouterr().err == ""


def stored_as(status, body):
    """What STOW-RS answers (PS3.18 table 10.5.3-1)."""
    return status, DICOM_JSON, json.dumps(body).encode()


FAILED = {"00081198": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [0xA700]}}]}}
WARNED = {"00081199": {"vr": "SQ", "Value": [{"00081196": {"vr": "US", "Value": [0xB000]}}]}}
DUPLICATE = {"00081198": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [0x0111]}}]}}


@pytest.mark.parametrize(
    ("answer", "meant"),
    [
        (stored_as(409, FAILED), r"refused: out of resources \(A700\)"),
        (stored_as(202, FAILED), r"refused: out of resources \(A700\)"),
        ((409, "text/plain", b"Doe^Jane"), "HTTP status 409"),
        ((507, "text/plain", b""), "HTTP status 507"),
    ],
)
def test_file_that_is_not_taken_is_counted_with_the_standards_words(tmp_path, slices, answer, meant):
    answers = iter([stored_as(200, {}), answer])
    files = sorted((tmp_path / "up").iterdir())
    with scripted_http(lambda _m, _p: next(answers)) as port, pacs_at(port, tmp_path) as pacs:
        with pytest.raises(NotStoredError, match=f"take 2 files; found that it did not take 1: 1 × {meant}") as raised:
            pacs.store(files)
        assert "Doe" not in str(raised.value)


def test_file_that_was_changed_or_was_there_is_stored(tmp_path, slices):
    answers = iter([stored_as(202, WARNED), stored_as(409, DUPLICATE)])
    files = sorted((tmp_path / "up").iterdir())
    with scripted_http(lambda _m, _p: next(answers)) as port, pacs_at(port, tmp_path) as pacs:
        assert pacs.store(files) == 1
