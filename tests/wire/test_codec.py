"""Messages come back from bytes as they were, whatever they hold and in whatever memory the bytes lie."""

import json

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gossamer.errors import WireError
from gossamer.gossip import Mass, Share
from gossamer.wire.codec import MAX_SITE_NAME, decode, encode
from gossamer.wire.frame import DTYPES, build_frame
from gossamer.wire.limits import Limits
from gossamer.wire.messages import Envelope, Receipt, ShareMessage

LAW = settings(max_examples=100, deadline=None)
NOTHING = Limits({}, {})

# Lone surrogates, controls and quotation marks included: JSON can hold them all.
tensor_names = st.text(st.characters(), max_size=12).filter(lambda name: name != "__metadata__")
printable = st.characters(exclude_categories=("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"))
site_names = st.text(printable | st.just(" "), min_size=1, max_size=MAX_SITE_NAME)
unicode_names = st.text(max_size=12).filter(lambda name: name != "__metadata__")
masses = st.floats(min_value=0.0, allow_nan=False, allow_infinity=False)
counts = st.integers(0, 10**18 - 1)


@st.composite
def tensors(draw):
    """Any bits: nan and its payload included."""
    dtype = draw(st.sampled_from(list(DTYPES.values())))
    shape = draw(st.lists(st.integers(0, 3), max_size=4))
    chance = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    size = torch.empty(shape, dtype=dtype).nbytes
    raw = torch.randint(0, 2 if dtype == torch.bool else 256, (size,), generator=chance, dtype=torch.uint8)
    return raw.view(dtype).reshape(shape) if size else torch.empty(shape, dtype=dtype)


@st.composite
def messages(draw):
    envelope = Envelope(
        draw(st.text("0123456789abcdef", min_size=64, max_size=64)), draw(site_names), draw(site_names), draw(counts)
    )
    if draw(st.booleans()):
        return Receipt(envelope)
    rows = draw(st.dictionaries(tensor_names, st.lists(masses, max_size=3).map(tuple), max_size=3))
    share = Share(draw(st.dictionaries(tensor_names, tensors(), max_size=4)), Mass(draw(masses), rows))
    return ShareMessage(envelope, share, draw(counts))


def limits_of(message):
    return Limits.of(message.share.params, message.share.mass) if isinstance(message, ShareMessage) else NOTHING


def bits(params):
    return {
        name: (tensor.dtype, tuple(tensor.shape), tensor.contiguous().reshape(-1).view(torch.uint8).tolist())
        for name, tensor in params.items()
    }


def assert_same(found, wanted):
    assert type(found) is type(wanted)
    assert found.envelope == wanted.envelope
    if isinstance(wanted, ShareMessage):
        assert (found.attempt, found.share.mass) == (wanted.attempt, wanted.share.mass)
        assert bits(found.share.params) == bits(wanted.share.params)


@LAW
@given(message=messages())
def test_message_comes_back_as_it_was(message):
    frame = encode(message)
    whole = frame.to_bytes()
    assert frame.size_bytes == len(whole) <= limits_of(message).frame_bytes
    for data in (frame, whole, bytearray(whole), memoryview(whole)):
        assert_same(decode(data, limits_of(message)), message)


@LAW
@given(message=messages())
def test_same_message_makes_the_same_bytes(message):
    assert encode(message).to_bytes() == encode(message).to_bytes()


@LAW
@given(message=messages())
def test_header_is_padded_so_that_each_tensor_is_aligned_to_its_own_width(message):
    frame = encode(message)
    offset = len(frame.header)
    assert offset % 8 == 0
    for tensor in frame.tensors:
        assert offset % tensor.element_size() == 0
        offset += tensor.nbytes


@LAW
@given(params=st.dictionaries(unicode_names, tensors(), max_size=4))
def test_any_safetensors_library_reads_a_share(params, envelope):
    loaded = safetensors.torch.load(encode(ShareMessage(envelope, Share(params, Mass(1.0)))).to_bytes())
    assert bits(loaded) == bits(params)


def test_frames_of_the_safetensors_library_are_read(metadata):
    params = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(7.0, dtype=torch.float64), "c": torch.empty(0, 4)}
    message = decode(safetensors.torch.save(params, metadata), Limits.of(params, Mass(1.0)))
    assert bits(message.share.params) == bits(params)
    assert message.share.mass == Mass(1.0)


@pytest.fixture
def metadata(envelope):
    return {
        "kind": "share",
        "protocol": "1",
        "federation": envelope.federation,
        "sender": envelope.sender,
        "receiver": envelope.receiver,
        "exchange": "4",
        "attempt": "0",
        "role": "step",
        "phases": "",
        "heard": "",
        "mass": json.dumps({"body": "0x1.0p+0", "rows": {}}),
    }


def test_tensors_that_are_not_contiguous_are_written_in_order(envelope):
    params = {"t": torch.arange(6.0).reshape(2, 3).T, "every other": torch.arange(8.0)[::2]}
    message = ShareMessage(envelope, Share(params, Mass(1.0)))
    found = decode(encode(message).to_bytes(), Limits.of(params, Mass(1.0)))
    assert found.share.params["t"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert found.share.params["every other"].tolist() == [0, 2, 4, 6]


def test_contiguous_tensors_are_not_copied_to_be_encoded(share_message):
    laid = {tensor.data_ptr() for tensor in encode(share_message).tensors if tensor.numel()}
    assert laid == {tensor.data_ptr() for tensor in share_message.share.params.values() if tensor.numel()}


def test_tensors_share_memory_that_may_be_written_to_and_are_copied_from_memory_that_may_not(share_message):
    limits = limits_of(share_message)
    data = bytearray(encode(share_message).to_bytes())
    shared, copied = (decode(each, limits).share.params["scale"] for each in (data, bytes(data)))
    data[-4:] = bytes(4)  # Of the narrowest tensors "scale" is the last by name, so it ends the frame.
    assert (float(shared), float(copied)) == (0.0, 2.5)


def test_masses_travel_to_the_last_bit(envelope):
    mass = Mass(1 / 3, {"x": (0.1, 5e-324, 1.7976931348623157e308, 0.0)})
    params = {"x": torch.zeros(4)}
    found = decode(encode(ShareMessage(envelope, Share(params, mass))).to_bytes(), Limits.of(params, mass))
    assert [found.share.mass.body, *found.share.mass.rows["x"]] == [1 / 3, 0.1, 5e-324, 1.7976931348623157e308, 0.0]


def test_tensor_named_as_the_metadata_is_refused_when_it_is_written(envelope):
    with pytest.raises(ValueError, match="__metadata__"):
        encode(ShareMessage(envelope, Share({"__metadata__": torch.zeros(1)}, Mass(1.0))))


@pytest.mark.parametrize("dtype", [torch.complex64, torch.float8_e4m3fn])
def test_dtype_that_no_header_can_name_is_refused_when_it_is_written(dtype):
    with pytest.raises(TypeError, match=f"F32.*found {dtype} in 'x'"):
        build_frame({}, {"x": torch.zeros(2, dtype=dtype)})


def test_longest_header_a_share_can_have_is_within_its_limits():
    # Characters beyond the basic plane are the longest in JSON, names of sites and hashes as long as they get.
    name = "\U0001f9e0" * 50
    mass = Mass(1 / 3, {name: (0.1,) * 7})
    params = {name: torch.zeros(7, 1, 1, 1, 1, 1, 1, 1)}
    envelope = Envelope("f" * 64, "\U0001f3e5" * MAX_SITE_NAME, "\U0001f3e5" * MAX_SITE_NAME, 10**18 - 1)
    message = ShareMessage(envelope, Share(params, mass), 10**18 - 1)
    assert_same(decode(encode(message).to_bytes(), Limits.of(params, mass)), message)


@pytest.mark.parametrize("name", ["", "x" * (MAX_SITE_NAME + 1), "a\nb", "a\u202eb", "\ud800"])
def test_site_name_that_could_deceive_in_a_log_is_refused(name):
    receipt = encode(Receipt(Envelope("0" * 64, name, "b", 0)))
    with pytest.raises(WireError, match="'sender': wanted a site's name"):
        decode(receipt.to_bytes(), NOTHING)
