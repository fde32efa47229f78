"""A simulation that is stopped anywhere goes on from its checkpoint to the bits of one that was not."""

import random

import pytest

from gossamer.errors import StorageError
from gossamer.runtime.faults import FaultPlan, Outage, PowerCut, random_power_cuts
from gossamer.runtime.network import Line, Network
from gossamer.wire.values import pack

BAD = {
    "network": Network(Line(delay_s=1.0, jitter_s=9.0, loss=0.2, duplicates=0.2), upload_bytes_per_s={"A": 500.0}),
    "faults": FaultPlan((Outage("B", 5.0, 50.0),), random_power_cuts("ABC", 4, count=6, events=20, longest_s=30.0)),
    "seed": 6,
}


class StoppedError(Exception):
    """The process is stopped."""


@pytest.fixture
def file(tmp_path):
    return tmp_path / "checkpoint.safetensors"


@pytest.mark.parametrize("every", [1, 2])
@pytest.mark.parametrize("stops", [(0,), (1, 3), (0, 1, 2, 3, 4)])
def test_run_that_is_stopped_in_on_round_goes_on_to_the_same_bits(  # noqa: PLR0917
    push_sum_of_three, outcome, bits, with_reports, file, every, stops
):
    unbroken, all_reports = with_reports(push_sum_of_three())
    told = []
    for stop in (*stops, None):

        def on_round(report, stop=stop):
            if report.round_index == stop:
                raise StoppedError
            told.append((report.round_index, bits(report.params), dict(report.loss)))

        try:
            result = push_sum_of_three().run(on_round, checkpoint=file, checkpoint_every_rounds=every)
        except StoppedError:
            assert stop is not None
    assert outcome(result) == outcome(unbroken)
    # Of rounds since the last checkpoint it is told again, with the same bits.
    assert all(report in all_reports for report in told)
    assert sorted({report[0] for report in told}) == [0, 1, 2, 3, 4]


@pytest.fixture
def push_sum_of_three(simulation):
    return lambda: simulation("pushsum", "exponential", 3, rounds=5, **BAD)


def test_checkpoint_at_any_moment_holds_the_whole_simulation(simulation, federation, outcome):
    unbroken = outcome(simulation(*federation, **BAD).run())
    chance = random.Random(1)
    broken = simulation(*federation, **BAD)
    while True:
        if not all(broken.step() for _ in range(chance.randrange(1, 60))):
            break
        data = broken.checkpoint().to_bytes()
        broken = simulation(*federation, **BAD)
        broken.restore(data if chance.random() < 0.5 else bytearray(data))
        assert broken.checkpoint().to_bytes() == data
    assert outcome(broken.run()) == unbroken


def test_checkpoint_taken_while_a_site_has_no_power_holds_its_disk(simulation, outcome):
    faults = {"faults": FaultPlan(power_cuts=(PowerCut("B", 3, 1, 1000.0),))}
    unbroken = outcome(simulation(**faults).run())
    federation = simulation(**faults)
    while federation._sites["B"].node is not None:
        assert federation.step()
    again = simulation(**faults)
    again.restore(federation.checkpoint())
    assert again._sites["B"].node is None
    assert outcome(again.run()) == unbroken


def test_checkpoint_copies_no_tensor(simulation):
    federation = simulation()
    body = federation._sites["A"].node.snapshot().state.params["body"]
    assert body.data_ptr() in {tensor.data_ptr() for tensor in federation.checkpoint().tensors}


def test_finished_run_is_told_from_its_checkpoint(simulation, outcome, file):
    first = simulation().run(checkpoint=file)
    reports = []
    assert outcome(simulation().run(reports.append, checkpoint=file)) == outcome(first)
    assert reports == []


def test_flipped_byte_anywhere_is_found(simulation):
    federation = half_way(simulation)
    data = federation.checkpoint().to_bytes()
    chance = random.Random(2)
    for _ in range(200):
        damaged = bytearray(data)
        damaged[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        with pytest.raises(StorageError, match="damaged or of another version"):
            federation.restore(damaged)


def half_way(simulation):
    federation = simulation()
    for _ in range(30):
        assert federation.step()
    return federation


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.99])
def test_file_that_was_cut_off_is_refused(simulation, file, part):
    data = half_way(simulation).checkpoint().to_bytes()
    file.write_bytes(data[: int(part * len(data))])
    with pytest.raises(StorageError, match="remove it to begin anew"):
        simulation().run(checkpoint=file)


@pytest.mark.parametrize("value", [None, 7, (), (1, 2), ({}, 1, 2, 3, 4, 5), (1,) * 7, {"sites": ()}])
def test_values_that_are_no_checkpoint_are_refused(simulation, value):
    with pytest.raises(StorageError, match="wanted a checkpoint of this simulation"):
        simulation().restore(pack(value, ()).to_bytes())


@pytest.mark.parametrize("content", [b"", b"hello", b'{"run": 1}', bytes(1000)])
def test_files_of_another_kind_are_refused(simulation, file, content):
    file.write_bytes(content)
    with pytest.raises(StorageError):
        simulation().run(checkpoint=file)


@pytest.mark.parametrize(
    "other",
    [
        {"count": 8}, {"rounds": 4}, {"local_steps": 3}, {"seed": 1}, {"network": Network(Line(delay_s=2.0))},
        {"step_s": dict.fromkeys("ABCD", 2.0)}, {"faults": FaultPlan((Outage("A", 0.0, 1.0),))},
    ],
    ids=lambda other: next(iter(other)),
)  # fmt: skip
def test_checkpoint_of_other_settings_is_refused_and_changes_nothing(simulation, outcome, other):
    data = half_way(lambda: simulation(**other)).checkpoint().to_bytes()
    federation = simulation()
    before = federation.checkpoint().to_bytes()
    with pytest.raises(StorageError, match="give each simulation a folder of its own"):
        federation.restore(data)
    assert federation.checkpoint().to_bytes() == before


def test_checkpoint_that_cannot_be_written_stops_the_run(simulation, tmp_path):
    with pytest.raises(StorageError, match="wanted to write checkpoint"):
        simulation().run(checkpoint=tmp_path / "no such folder" / "checkpoint")


def test_checkpoint_that_cannot_be_read_stops_the_run(simulation, tmp_path):
    with pytest.raises(StorageError, match="wanted to read"):
        simulation().run(checkpoint=tmp_path)
