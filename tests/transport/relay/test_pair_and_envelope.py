"""What two sites have in common without having spoken, and envelopes that only they open, in order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossamer.errors import RelayMeddledError
from gossamer.transport.relay_envelope import CONTENT_BYTES, LENGTH_BYTES, TAG_BYTES, Envelope
from gossamer.transport.relay_pair import pair_of

FEDERATION, OTHER = "ab" * 32, "cd" * 32


@pytest.fixture
def ends(world):
    """Both ends of a pair, and envelopes of one connection."""
    a, b = world.identities["a"], world.identities["b"]
    pairs = [pair_of(a, b.certificate, FEDERATION), pair_of(b, a.certificate, FEDERATION)]
    return pairs, envelopes(*pairs)


def envelopes(one, other, nonces=(b"1" * 32, b"2" * 32)):
    return Envelope(one, *nonces, "b"), Envelope(other, *reversed(nonces), "a")


def opened(envelope, record):
    length = envelope.length(record[:LENGTH_BYTES])
    assert length == len(record) - LENGTH_BYTES
    return envelope.open(record[LENGTH_BYTES:])


def test_both_ends_find_one_token_one_key_and_different_sides(ends):
    one, other = ends[0]
    assert (one.token, one.key) == (other.token, other.key)
    assert {one.side, other.side} == {0, 1}
    assert one.token != one.key


def test_another_peer_or_federation_file_is_another_meeting(world, ends):
    a, b, c = world.identities.values()
    usual = ends[0][0]
    others = [
        pair_of(a, c.certificate, FEDERATION), pair_of(c, b.certificate, FEDERATION), pair_of(a, b.certificate, OTHER)
    ]  # fmt: skip
    assert len({usual.token, *(pair.token for pair in others)}) == 4
    assert len({usual.key, *(pair.key for pair in others)}) == 4


def test_a_token_holds_nothing_of_what_it_is_made_of(world, ends):
    token = ends[0][0].token
    for site in world.identities.values():
        assert bytes.fromhex(site.site_id)[:4] not in token
    assert bytes.fromhex(FEDERATION)[:4] not in token


@given(contents=st.lists(st.binary(max_size=200), max_size=5))
def test_what_was_sealed_is_opened_in_order_both_ways(world, contents):
    a, b = world.identities["a"], world.identities["b"]
    one, other = envelopes(pair_of(a, b.certificate, FEDERATION), pair_of(b, a.certificate, FEDERATION))
    for content in contents:
        assert opened(other, one.seal(content)) == content
        assert opened(one, other.seal(content)) == content


def test_every_flipped_bit_is_found(ends):
    _, (one, other) = ends
    record = one.seal(b"content")
    for bit in range(8 * LENGTH_BYTES, 8 * len(record)):
        spoilt = bytearray(record)
        spoilt[bit // 8] ^= 1 << bit % 8
        with pytest.raises(RelayMeddledError):
            opened(other, bytes(spoilt))
    assert opened(other, record) == b"content"


@pytest.mark.parametrize(
    "play", [(0, 0), (1,), (0, 2), (0, 1, 0)], ids=["repeated", "the first left out", "left out", "played again"]
)
def test_records_out_of_their_order_are_found(ends, play):
    _, (one, other) = ends
    records = [one.seal(bytes([number])) for number in range(3)]
    *well, last = play
    for index in well:
        opened(other, records[index])
    with pytest.raises(RelayMeddledError):
        opened(other, records[last])


def test_a_record_that_comes_back_to_its_sender_is_none(ends):
    _, (one, _other) = ends
    with pytest.raises(RelayMeddledError):
        opened(one, one.seal(b"content"))


def test_records_of_another_connection_are_none(ends):
    pairs, (one, _other) = ends
    _, later = envelopes(*pairs, nonces=(b"3" * 32, b"2" * 32))
    with pytest.raises(RelayMeddledError, match="without its key"):
        opened(later, one.seal(b""))


def test_whoever_is_not_the_peer_is_told_apart_from_bytes_that_were_changed(world, ends):
    (pair, _), (one, other) = ends
    stranger, _ = envelopes(pair_of(world.identities["c"], world.identities["b"].certificate, FEDERATION), pair)
    with pytest.raises(RelayMeddledError, match="found somebody without its key"):
        opened(other, stranger.seal(b""))
    opened(other, one.seal(b""))
    with pytest.raises(RelayMeddledError, match="found other bytes"):
        opened(other, stranger.seal(b""))


@pytest.mark.parametrize("length", [0, TAG_BYTES - 1, TAG_BYTES + CONTENT_BYTES + 1, 2**32 - 1])
def test_a_length_that_nobody_makes_is_refused_before_memory_is_taken(ends, length):
    with pytest.raises(RelayMeddledError):
        ends[1][0].length(length.to_bytes(LENGTH_BYTES, "big"))
