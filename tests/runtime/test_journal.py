"""A record is whole or is not taken for one; the one before it is always there."""

import pytest
import torch

from gossamer.errors import StorageError
from gossamer.gossip import TrainerState
from gossamer.runtime.journal import Journal, Kept


@pytest.fixture
def kept_at(simulation):
    """What a site keeps after so many events."""

    def keep(events):
        running = simulation("sweep")
        for _ in range(events):
            running.step()
        site = next(iter(running._sites.values()))
        return Kept(site.node.snapshot() if site.node else site.disk.snapshot, TrainerState({"m": torch.ones(3)}), 0.5)

    return keep


def test_nothing_was_written_at_first(tmp_path):
    assert Journal(tmp_path).read() is None


def test_the_newest_of_many_records_is_found_again(tmp_path, kept_at):
    journal = Journal(tmp_path)
    journal.read()
    for events in range(5):
        journal.write(kept_at(events))
    again = Journal(tmp_path).read()
    newest = kept_at(4)
    assert again.snapshot.phase == newest.snapshot.phase
    assert again.snapshot.exchange == newest.snapshot.exchange
    assert torch.equal(again.snapshot.state.params["body"], newest.snapshot.state.params["body"])
    assert torch.equal(again.trainer_state.tensors["m"], torch.ones(3))
    assert len(list(tmp_path.iterdir())) == 2


def test_a_journal_that_was_read_goes_on_after_its_newest_record(tmp_path, kept_at):
    first = Journal(tmp_path)
    first.read()
    first.write(kept_at(0))
    second = Journal(tmp_path)
    second.read()
    second.write(kept_at(3))
    second.write(kept_at(6))
    assert Journal(tmp_path).read().snapshot.exchange == kept_at(6).snapshot.exchange


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_a_damaged_record_is_not_taken_for_one_and_the_one_before_is(tmp_path, kept_at, damage):
    journal = Journal(tmp_path)
    journal.read()
    journal.write(kept_at(1))
    older = {path: path.read_bytes() for path in tmp_path.iterdir()}
    journal.write(kept_at(4))
    [newest] = [path for path in tmp_path.iterdir() if path not in older]
    content = bytearray(newest.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
    newest.write_bytes({"cut": content[:-5], "flip": content, "empty": b""}[damage])
    assert Journal(tmp_path).read().snapshot.phase == kept_at(1).snapshot.phase


def test_every_flipped_bit_of_a_record_is_found(tmp_path, kept_at):
    journal = Journal(tmp_path)
    journal.read()
    journal.write(kept_at(2))
    [path] = tmp_path.iterdir()
    whole = path.read_bytes()
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        with pytest.raises(StorageError, match="restore the folder from a backup"):
            Journal(tmp_path).read()
