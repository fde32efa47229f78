"""A record is whole or is not taken for one; the one before it is always there."""

import errno
import os
from dataclasses import replace

import pytest
import torch

from gossamer.errors import DiskFullError, StorageError
from gossamer.gossip import TrainerState
from gossamer.runtime import journal as module
from gossamer.runtime.journal import Journal, Kept

MOMENTS = TrainerState({"m": torch.ones(3)})


@pytest.fixture
def kept_at(simulation):
    """What a site keeps after so many events."""

    def keep(events):
        running = simulation("sweep")
        for _ in range(events):
            running.step()
        site = next(iter(running._sites.values()))
        return Kept(site.node.snapshot() if site.node else site.disk.snapshot, MOMENTS, 0.5)

    return keep


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path)
    assert journal.read() is None
    return journal


def trained(kept):
    """After another local phase: other parameters and moments."""
    params = {name: tensor + 1 for name, tensor in kept.snapshot.state.params.items()}
    snapshot = replace(kept.snapshot, state=replace(kept.snapshot.state, params=params))
    return Kept(snapshot, TrainerState({"m": kept.trainer_state.tensors["m"] * 2}), 0.25)


def files(folder, kind="tensors-*"):
    """Each with the number that the file system gives to another file when it is written anew."""
    return {path.name: path.stat().st_ino for path in folder.glob(kind)}


def test_the_newest_of_many_records_is_found_again(tmp_path, journal, kept_at):
    for events in range(5):
        journal.write(kept_at(events))
    again = Journal(tmp_path).read()
    newest = kept_at(4)
    assert again.snapshot.phase == newest.snapshot.phase
    assert again.snapshot.exchange == newest.snapshot.exchange
    assert torch.equal(again.snapshot.state.params["body"], newest.snapshot.state.params["body"])
    assert list(again.snapshot.state.params) == list(newest.snapshot.state.params)
    assert torch.equal(again.trainer_state.tensors["m"], torch.ones(3))
    assert len(files(tmp_path, "state-*")) == 2


def test_a_journal_that_was_read_goes_on_after_its_newest_record(tmp_path, journal, kept_at):
    journal.write(kept_at(0))
    second = Journal(tmp_path)
    second.read()
    second.write(kept_at(3))
    second.write(kept_at(6))
    assert Journal(tmp_path).read().snapshot.exchange == kept_at(6).snapshot.exchange


def test_tensors_that_did_not_change_are_not_written_again(tmp_path, journal, kept_at):
    kept = kept_at(1)
    journal.write(kept)
    before = files(tmp_path)
    for loss in (0.4, 0.3, 0.2):
        journal.write(replace(kept, loss=loss))
    assert files(tmp_path) == before
    assert Journal(tmp_path).read().loss == 0.2


def test_nor_after_a_restart(tmp_path, journal, kept_at):
    journal.write(kept_at(1))
    before = files(tmp_path)
    second = Journal(tmp_path)
    second.write(replace(second.read(), loss=0.1))
    assert files(tmp_path) == before


def test_a_tensor_that_was_changed_in_place_is_written_again(tmp_path, journal, kept_at):
    kept = Kept(kept_at(1).snapshot, TrainerState({"m": torch.zeros(3)}), 0.5)
    journal.write(kept)
    kept.trainer_state.tensors["m"].add_(5)
    journal.write(kept)
    assert torch.equal(Journal(tmp_path).read().trainer_state.tensors["m"], torch.full((3,), 5.0))


def test_what_two_generations_do_not_name_is_removed(tmp_path, journal, kept_at):
    kept = kept_at(1)
    seen = []
    for _ in range(4):
        journal.write(kept)
        seen.append(set(files(tmp_path)))
        kept = trained(kept)
    assert [len(each) for each in seen] == [2, 4, 4, 4]  # parameters and moments of one, then of two generations
    assert not seen[0] & seen[2]


def test_what_a_power_cut_left_half_written_is_removed(tmp_path, journal, kept_at):
    kept = kept_at(1)
    journal.write(kept)
    (tmp_path / "tensors-1-0.safetensors").write_bytes(b"of a generation that was never told")
    (tmp_path / ".tensors-1-1.safetensors.part").write_bytes(b"half")
    second = Journal(tmp_path)
    second.read()
    second.write(trained(kept))
    assert torch.equal(Journal(tmp_path).read().trainer_state.tensors["m"], torch.full((3,), 2.0))
    assert len(files(tmp_path)) == 4
    assert not files(tmp_path, ".tensors-*")


def test_tensors_are_durable_before_the_record_that_names_them(tmp_path, journal, kept_at, monkeypatch):
    named = []
    real = module.write_atomically

    def look(path, content):
        named.append((path.name, len(files(tmp_path))))
        real(path, content)

    monkeypatch.setattr(module, "write_atomically", look)
    journal.write(kept_at(1))
    assert named == [("state-0.safetensors", 2)]


@pytest.mark.parametrize("fails_at", ["tensors", "record"])
def test_a_full_disk_leaves_the_record_before_and_room_makes_it_go_on(
    tmp_path, journal, kept_at, monkeypatch, fails_at
):
    kept = kept_at(1)
    journal.write(kept)
    calls = {"left": 0 if fails_at == "tensors" else 4}  # a file and its folder, of parameters and moments
    real = os.fsync

    def fail(descriptor):
        if calls["left"] == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        calls["left"] -= 1
        real(descriptor)

    with monkeypatch.context() as full:
        full.setattr(os, "fsync", fail)
        with pytest.raises(DiskFullError):
            journal.write(trained(kept))
    assert Journal(tmp_path).read().loss == kept.loss
    journal.write(trained(kept))
    assert Journal(tmp_path).read().loss == 0.25
    assert len(files(tmp_path)) == 4


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "gone"])
@pytest.mark.parametrize("kind", ["state-*", "tensors-*"])
def test_a_damaged_record_is_not_taken_for_one_and_the_one_before_is(tmp_path, journal, kept_at, damage, kind):
    kept = kept_at(1)
    journal.write(kept)
    older = files(tmp_path, "*")
    journal.write(trained(kept))
    [newest, *_] = [path for path in tmp_path.glob(kind) if path.name not in older]
    content = bytearray(newest.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
    if damage == "gone":
        newest.unlink()
    else:
        newest.write_bytes({"cut": content[:-5], "flip": content, "empty": b""}[damage])
    second = Journal(tmp_path)
    again = second.read()
    assert again.loss == kept.loss
    assert (second.damage is None) == (damage == "gone" and kind == "state-*")
    second.write(trained(kept))
    assert Journal(tmp_path).read().loss == 0.25


@pytest.mark.parametrize("what", ["gone", "as it was"])
def test_a_record_before_the_newest_that_the_disk_has_lost_is_told(tmp_path, journal, kept_at, what):
    first = kept_at(1)
    journal.write(first)
    oldest = (tmp_path / "state-0.safetensors").read_bytes()
    for loss in (0.75, 0.5, 0.125):
        journal.write(replace(first, loss=loss))
    whole = Journal(tmp_path)
    assert whole.read().loss == 0.125
    assert whole.damage is None
    path = tmp_path / "state-0.safetensors"
    path.unlink() if what == "gone" else path.write_bytes(oldest)
    again = Journal(tmp_path)
    assert again.read().loss == 0.125
    assert "found the second alone" in str(again.damage)
    again.write(replace(first, loss=0.125))
    whole = Journal(tmp_path)
    assert whole.read().loss == 0.125
    assert whole.damage is None


def test_every_flipped_bit_of_a_record_is_found(tmp_path, journal, kept_at):
    journal.write(kept_at(2))
    paths = list(tmp_path.iterdir())
    assert len(paths) == 3
    for path in paths:
        whole = path.read_bytes()
        for at in range(0, len(whole), 7):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
            with pytest.raises(StorageError, match="restore the folder from a backup"):
                Journal(tmp_path).read()
        path.write_bytes(whole)


def test_a_record_of_another_format_is_not_guessed_at(tmp_path, journal, kept_at, monkeypatch):
    monkeypatch.setattr(module, "FORMAT", 4)
    journal.write(kept_at(1))
    monkeypatch.undo()
    with pytest.raises(StorageError) as caught:
        Journal(tmp_path).read()
    assert "wanted a journal of format 2 or 3; found format 4" in str(caught.value.__cause__)
