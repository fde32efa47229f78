"""What nobody can read is nobody's word: one site's nonsense ends no other's run."""

import pytest

from gossamer.data.fingerprint import Fingerprint
from gossamer.errors import NoticeError
from gossamer.runtime.joining import join_notice
from gossamer.runtime.site_notices import require_readable
from gossamer.runtime.site_results import OrganResult, result_notice

EXTENT = ({200: 2}, {150: 2}, {150: 2})
JOIN = join_notice(Fingerprint(2, {"Liver": 2}, {0: 9, 50: 9, 90: 9}, ({40: 2}, {20: 2}, {20: 2}), EXTENT))
PLAN = b'{"release": "0.1.0", "sha256": "%s"}' % (b"a" * 64)
RESULT = result_notice(
    model_sha256="c" * 64,
    cases=5,
    rounds=2,
    shares={"B": 3},
    away={"C": 4},
    organs=(OrganResult(organ="Liver", patients=2, dsc=0.5, surface_dsc=0.5, hd95_mm=3.0, missed=0),),
    refused=False,
)


@pytest.mark.parametrize(("topic", "content"), [("join", JOIN), ("plan", PLAN), ("result", RESULT), ("end", b"{}")])
def test_what_sites_of_this_release_say_is_readable_and_more_may_stand_there(topic, content):
    require_readable("B", topic, content)
    require_readable("B", topic, b'{"of a later release": 1, ' + content[1:].replace(b"{}", b""))


@pytest.mark.parametrize("topic", ["join", "plan", "result"])
@pytest.mark.parametrize(
    "content",
    [b"\xff", b"[]", b"null", b"[" * 60_000, b'{"release": ' + b"[" * 900 + b"]" * 900 + b"}", b"1" * 5000],
    ids=["no text", "no table", "nothing", "endless", "deep", "a long number"],
)
def test_what_is_no_notice_is_refused_and_its_author_named(topic, content):
    with pytest.raises(NoticeError, match="site B"):
        require_readable("B", topic, content)


@pytest.mark.parametrize(
    ("of", "to"),
    [
        (b'"away":{"C":4}', b'"away":{"[/red]":4}'),
        (b'"away":{"C":4}', b'"away":{"C":-4}'),
        (b'"rounds":2', b'"rounds":1' + b"0" * 400),
        (b'"dsc":0.5', b'"dsc":1e999'),
        (b'"dsc":0.5', b'"dsc":1.5'),
        (b'"hd95_mm":3.0', b'"hd95_mm":NaN'),
        (b'"Liver"', b'"Li\\u001b[2Jver"'),
        (b'"release":"', b'"release":"\\n'),
    ],
    ids=["markup", "negative", "many digits", "endless", "above 1", "no number", "of a terminal", "another line"],
)
def test_a_result_that_would_spoil_the_table_or_a_terminal_is_refused(of, to):
    assert of in RESULT
    with pytest.raises(NoticeError, match="site B"):
        require_readable("B", "result", RESULT.replace(of, to))


def test_a_topic_that_nobody_knows_is_refused():
    with pytest.raises(NoticeError, match="found topic 'gossip'"):
        require_readable("B", "gossip", b"{}")
