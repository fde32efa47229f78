import hashlib
import json
import struct
from dataclasses import replace

import pytest
import safetensors
import safetensors.torch
import torch

from gossamer.data.learned import Learned
from gossamer.data.plan import NetworkPlan
from gossamer.errors import ModelFileError
from gossamer.nets import build_network, parameters_of
from gossamer.segment.model_file import ModelRecord, read_model, write_model

RECORD = ModelRecord(
    arm="gossip",
    seed=1,
    sites={"A": 40, "B": 33},
    annotated={"Parotid_L": 60},
    steps=1400,
    rounds=280,
    gossamer_version="0.1.0",
)

LEARNED = Learned(
    cases=73,
    spacing_mm=((2.0, 3.0), (0.75, 1.5), (0.75, 1.5)),
    extent_mm=(None, (400.0, 600.0), (400.0, 600.0)),
    hu=(-900, -80, 0, 40, 90, 300, 1400),
)


@pytest.fixture
def params(plan):
    return parameters_of(build_network(plan, seed=3))


@pytest.fixture
def path(tmp_path, plan, params):
    path = tmp_path / "model.safetensors"
    write_model(path, params, plan, RECORD)
    return path


def header_of(path):
    raw = path.read_bytes()
    (size,) = struct.unpack("<Q", raw[:8])
    return json.loads(raw[8 : 8 + size]), raw[8 + size :]


def write_file(path, header, data):
    """A safetensors file with this header, its hash set right as an attacker would."""
    description = json.loads(header["__metadata__"]["gossamer"])
    description["sha256"] = "0" * 64
    header["__metadata__"]["gossamer"] = json.dumps(description)
    text = json.dumps(header).encode()
    raw = struct.pack("<Q", len(text)) + text + data
    sha256 = hashlib.sha256(raw).hexdigest()
    path.write_bytes(raw.replace(b"0" * 64, sha256.encode()))


def with_plan(path, **changes):
    header, data = header_of(path)
    description = json.loads(header["__metadata__"]["gossamer"])
    description["plan"].update(changes)
    header["__metadata__"]["gossamer"] = json.dumps(description)
    write_file(path, header, data)


def test_model_comes_back_as_it_was_written(path, plan, params):
    model = read_model(path)
    assert model.plan == plan
    assert model.record == RECORD
    assert model.params.keys() == params.keys()
    assert all(torch.equal(model.params[name], params[name]) for name in params)
    image = torch.zeros(1, 1, 8, 16, 16)
    assert torch.equal(model.network(image), build_network(plan, seed=3).eval()(image))


def test_file_says_itself_what_it_is_and_what_it_is_not(path):
    with safetensors.safe_open(path, "pt") as file:
        description = json.loads(file.metadata()["gossamer"])
    assert "Not a medical device" in description["intended_use"]
    assert description["record"]["sites"] == {"A": 40, "B": 33}
    assert description["record"]["licence"]
    assert description["plan"]["structures"] == ["Parotid_L", "Parotid_R", "SpinalCord"]
    assert description["format"] == 3
    assert description["learned"] is None
    assert description["plan"]["one_piece"] == []


def test_same_model_gives_the_same_bytes_and_the_hash_returned_is_the_hash_inside(tmp_path, plan, params, path):
    sha256 = write_model(tmp_path / "again", dict(reversed(params.items())), plan, RECORD)
    assert (tmp_path / "again").read_bytes() == path.read_bytes()
    assert read_model(path).sha256 == sha256


def test_hash_is_that_of_the_file_with_its_own_digits_as_zeros(path):
    raw = path.read_bytes()
    sha256 = read_model(path).sha256
    assert hashlib.sha256(raw.replace(sha256.encode(), b"0" * 64)).hexdigest() == sha256


def test_every_flipped_byte_is_found(path):
    raw = bytearray(path.read_bytes())
    (header_bytes,) = struct.unpack("<Q", raw[:8])
    # Every byte of the length, a third of the header, and bytes all over the parameters.
    places = [*range(8), *range(8, 8 + header_bytes, 3), *range(8 + header_bytes, len(raw), len(raw) // 600)]
    assert len(places) >= 1000
    for place in places:
        damaged = bytearray(raw)
        damaged[place] ^= 0x20 if place % 2 else 0x01  # 0x20 turns letters into capitals
        path.write_bytes(damaged)
        with pytest.raises(ModelFileError):
            read_model(path)


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 1000, -1])
def test_file_cut_short_is_refused(path, length):
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ModelFileError):
        read_model(path)


def test_file_with_something_appended_is_refused(path):
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(ModelFileError, match="length"):
        read_model(path)


def test_absent_file_says_what_to_check(tmp_path):
    with pytest.raises(ModelFileError, match="-m"):
        read_model(tmp_path / "none.safetensors")


def test_pickle_is_not_opened(path):
    torch.save({"weight": torch.zeros(3)}, path)
    with pytest.raises(ModelFileError, match="safetensors"):
        read_model(path)


def test_another_programs_safetensors_file_is_named_as_such(path, params):
    safetensors.torch.save_file(params, path, {"format": "pt"})
    with pytest.raises(ModelFileError, match="another program"):
        read_model(path)


def test_header_that_claims_gigabytes_takes_no_memory(path):
    path.write_bytes(struct.pack("<Q", 2**40) + b"{}")
    with pytest.raises(ModelFileError, match="limits"):
        read_model(path)


def test_deeply_nested_header_is_refused(path):
    text = b'{"__metadata__":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    path.write_bytes(struct.pack("<Q", len(text)) + text)
    with pytest.raises(ModelFileError):
        read_model(path)


def test_newer_format_asks_for_a_newer_release(path):
    header, data = header_of(path)
    description = json.loads(header["__metadata__"]["gossamer"])
    description["format"] = 4
    header["__metadata__"]["gossamer"] = json.dumps(description)
    write_file(path, header, data)
    with pytest.raises(ModelFileError, match="format 3; found format 4; use the release"):
        read_model(path)


def test_file_of_format_1_is_read_and_its_masks_keep_every_piece(path, plan, params):
    header, data = header_of(path)
    description = json.loads(header["__metadata__"]["gossamer"])
    description["format"] = description["plan"]["format"] = 1
    del description["plan"]["one_piece"], description["plan"]["overlap"], description["learned"]
    header["__metadata__"]["gossamer"] = json.dumps(description)
    write_file(path, header, data)
    model = read_model(path)
    assert model.plan == replace(plan, format=1)
    assert (model.plan.one_piece, model.plan.overlap) == ((), 0.5)
    assert all(torch.equal(model.params[name], params[name]) for name in params)


def test_file_of_format_2_is_read_and_says_nothing_of_its_training_data(path, plan):
    header, data = header_of(path)
    description = json.loads(header["__metadata__"]["gossamer"])
    description["format"] = 2
    del description["learned"]
    header["__metadata__"]["gossamer"] = json.dumps(description)
    write_file(path, header, data)
    model = read_model(path)
    assert (model.plan, model.learned) == (plan, None)


def test_what_the_training_data_were_like_comes_back_as_it_was_written(tmp_path, plan, params):
    sha256 = write_model(tmp_path / "m", params, plan, RECORD, LEARNED)
    model = read_model(tmp_path / "m")
    assert model.learned == LEARNED
    assert model.sha256 == sha256


@pytest.mark.parametrize(
    "learned", [{"cases": 3}, {**LEARNED.model_dump(), "hu": [1, 2]}, {**LEARNED.model_dump(), "note": "Mr X"}, "many"]
)
def test_training_data_that_are_described_wrongly_are_refused(path, learned):
    header, data = header_of(path)
    description = json.loads(header["__metadata__"]["gossamer"])
    description["learned"] = learned
    header["__metadata__"]["gossamer"] = json.dumps(description)
    write_file(path, header, data)
    with pytest.raises(ModelFileError, match="learned"):
        read_model(path)


def test_how_masks_are_made_comes_back_as_it_was_written(tmp_path, plan, params):
    made = replace(plan, one_piece=("Parotid_L", "SpinalCord"), overlap=0.75)
    write_model(tmp_path / "m", params, made, RECORD)
    assert read_model(tmp_path / "m").plan == made


def test_key_without_meaning_is_refused(path):
    header, data = header_of(path)
    description = json.loads(header["__metadata__"]["gossamer"])
    description["hook"] = "import os"
    header["__metadata__"]["gossamer"] = json.dumps(description)
    write_file(path, header, data)
    with pytest.raises(ModelFileError, match="hook"):
        read_model(path)


def test_file_whose_hash_was_set_right_still_opens(path):
    # The control of the tests below: they fail for what they change, not for how they write.
    header, data = header_of(path)
    write_file(path, header, data)
    read_model(path)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"structures": ["../../evil", "Parotid_R", "SpinalCord"]}, "name"),
        ({"structures": ["Parotid_L", "Parotid_L", "SpinalCord"]}, "twice"),
        ({"structures": [["Parotid_L"], "Parotid_R", "SpinalCord"]}, "name"),
        ({"structures": ["Parotid_L", "Parotid_R"]}, "tensors"),
        ({"spacing_mm": [1e-4, 2.0, 2.0]}, "spacing"),
        ({"spacing_mm": [float("nan"), 2.0, 2.0]}, "finite"),
        ({"hu_sd": "100"}, "finite"),
        ({"hu_sd": 0.0}, "positive"),
        ({"patch_size": [8, 16, 2**40]}, "patch"),
        ({"patch_size": [8, 16, 17]}, "patch"),
        ({"network": {"name": "unet", "channels": [8, 16], "strides": [[0, 2, 2]]}}, "network"),
        ({"patch_size": [0, 16, 16]}, "patch"),
        ({"patch_size": [float("inf"), 16, 16]}, "plan"),
        ({"network": {"name": "unet", "channels": [8] * 40, "strides": [[2, 2, 2]] * 39}}, "levels"),
        ({"network": {"name": "unet", "channels": [8, 2**20], "strides": [[2, 2, 2]]}}, "tensors"),
        ({"network": {"name": "os.system", "channels": [8, 16], "strides": [[2, 2, 2]]}}, "network"),
        ({"network": {"name": "unet", "channels": [8, -16], "strides": [[2, 2, 2]]}}, "network"),
        ({"surprise": 1}, "plan"),
        ({"one_piece": ["Liver"]}, "one piece"),
        ({"one_piece": ["Parotid_L", "Parotid_L"]}, "one piece"),
        ({"one_piece": [["Parotid_L"]]}, "one piece"),
        ({"one_piece": 3}, "plan"),
        ({"overlap": 0.999}, "overlap"),
        ({"overlap": -0.5}, "overlap"),
        ({"overlap": "half"}, "finite"),
        ({"format": 1}, "put together wrongly"),
        ({"format": 9}, "format 9"),
    ],
)
def test_plan_that_is_hostile_or_does_not_fit_is_refused(path, changes, found):
    with_plan(path, **changes)
    with pytest.raises(ModelFileError, match=found):
        read_model(path)


def test_tensors_that_overlap_in_the_file_are_refused(path):
    header, data = header_of(path)
    header["head.bias"]["data_offsets"] = [0, 12]
    write_file(path, header, data)
    with pytest.raises(ModelFileError, match="lie wrongly"):
        read_model(path)


def test_parameters_of_another_network_are_named(tmp_path, plan, params):
    wider = replace(plan, network=NetworkPlan("unet", (8, 32), ((2, 2, 2),)))
    write_model(tmp_path / "m", params, wider, RECORD)
    with pytest.raises(ModelFileError, match="body"):
        read_model(tmp_path / "m")


def test_diverged_parameters_are_refused(tmp_path, plan, params):
    params["head.bias"][0] = float("nan")
    write_model(tmp_path / "m", params, plan, RECORD)
    with pytest.raises(ModelFileError, match="diverged"):
        read_model(tmp_path / "m")
