"""One file in a multipart message, both ways, against Python's own mail parser."""

from email import message_from_bytes
from email.policy import HTTP

import pytest

from gossamer.dicom.pacs.multipart import Upload, boundary_of, single_part
from gossamer.errors import NotFetchedError

CONTENT = b"\x00" * 9 + b"\r\n--A\r\n\r\n--AB\r\nDICM\r\n"
"""Holds what looks like a header's end and like half a delimiter."""

MESSAGE = b"--ABC\r\nContent-Type: application/dicom\r\n\r\n" + CONTENT + b"\r\n--ABC--\r\n"


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 11, 64, 1000])
def test_content_comes_out_whole_however_the_answer_is_cut_into_pieces(size):
    pieces = (MESSAGE[at : at + size] for at in range(0, len(MESSAGE), size))
    assert b"".join(single_part(pieces, b"ABC")) == CONTENT


@pytest.mark.parametrize("length", range(len(MESSAGE) - 2))
def test_answer_that_ends_anywhere_before_its_end_is_cut_off(length):
    with pytest.raises(NotFetchedError, match="cut off"):
        list(single_part(iter([MESSAGE[:length]]), b"ABC"))


def test_no_more_is_held_than_a_piece_and_a_delimiter():
    held, pieces = [], (b"--ABC\r\n\r\n", *[bytes(1000)] * 50, b"\r\n--ABC--")
    for piece in single_part(iter(pieces), b"ABC"):
        held.append(len(piece))
    assert sum(held) == 50_000
    assert max(held) <= 1000 + len(b"\r\n--ABC")


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ('multipart/related; type="application/dicom"; boundary=ABC', b"ABC"),
        ('Multipart/Related;boundary="A B=C";type=application/dicom', b"A B=C"),
        ("application/dicom", None),
    ],
)
def test_boundary_is_read_in_each_of_its_forms(content_type, boundary):
    assert boundary_of(content_type) == boundary


@pytest.mark.parametrize("content_type", ["", "text/html", "multipart/related", "multipart/mixed; boundary=A"])
def test_other_content_is_refused(content_type):
    with pytest.raises(NotFetchedError, match="multipart"):
        boundary_of(content_type)


def test_upload_is_a_message_of_the_length_that_it_says_with_the_file_in_it(tmp_path):
    (tmp_path / "a").write_bytes(CONTENT)
    upload = Upload(tmp_path / "a")
    body = b"".join(upload)
    assert len(upload) == len(body)
    message = message_from_bytes(f"Content-Type: {upload.content_type}\r\n\r\n".encode() + body, policy=HTTP)
    [part] = message.iter_parts()
    assert part.get_content_type() == message.get_param("type") == "application/dicom"
    assert b"".join(single_part(iter([body]), boundary_of(upload.content_type))) == CONTENT
