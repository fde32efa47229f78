import os
import signal
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from gossamer.learn.patches import PatchMaker
from gossamer.learn.trainer import SegmentationTrainer
from gossamer.learn.workers import PatchWorkers
from gossamer.nets import build_network, parameters_of


@pytest.fixture
def maker(toy_cases, toy_plan, toy_recipe):
    return PatchMaker(toy_cases, toy_plan, toy_recipe, seed=2, site="A")


def same(patches, others):
    return all(
        np.array_equal(a.image, b.image) and np.array_equal(a.labels, b.labels)
        for a, b in zip(patches, others, strict=True)
    )


@pytest.fixture
def workers_of():
    started = []

    def start(maker, count, patience_s=240.0):
        started.append(PatchWorkers(maker, count, patience_s))
        return started[-1]

    yield start
    for workers in started:
        workers.close()


def test_patches_are_the_same_bits_whoever_makes_them_and_whoever_is_killed(maker, workers_of, caplog):
    workers = workers_of(maker, 2)
    assert same(workers.patches(range(3)), [maker.patch(index) for index in range(3)])
    os.kill(workers.process_ids[0], signal.SIGKILL)
    assert same(workers.patches(range(3, 9)), [maker.patch(index) for index in range(3, 9)])
    assert same(workers.patches(range(9, 15)), [maker.patch(index) for index in range(9, 15)])
    assert workers.alive == 1
    assert "out of memory" in caplog.text
    assert "going on with 1" in caplog.text


def test_a_hung_worker_is_given_up_and_its_patches_made_here(maker, workers_of, caplog):
    workers = workers_of(maker, 1)
    workers.patches(range(1))  # it is up and running; a stop before that would only test its start
    workers._patience_s = 0.5
    os.kill(workers.process_ids[0], signal.SIGSTOP)
    began = time.monotonic()
    assert same(workers.patches(range(20, 23)), [maker.patch(index) for index in range(20, 23)])
    assert time.monotonic() - began < 120
    assert workers.alive == 0
    assert "did not answer" in caplog.text


def test_a_system_that_starts_no_process_is_worked_on_without(maker, monkeypatch, caplog):
    def refuse(process):
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("multiprocessing.context.SpawnProcess.start", refuse)
    workers = PatchWorkers(maker, 2)
    assert workers.alive == 0
    assert same(workers.patches(range(2)), [maker.patch(0), maker.patch(1)])
    assert "starts no process" in caplog.text


def test_training_with_workers_gives_the_same_bits_as_without(toy_cases, toy_plan, toy_recipe, fabric, caplog):
    start = parameters_of(build_network(toy_plan, seed=7))
    ends = []
    for count in (0, 1):
        recipe = replace(toy_recipe, workers=count)
        trainer = SegmentationTrainer(toy_cases, toy_plan, recipe, seed=1, site="A", total_steps=10, fabric=fabric)
        ends.append(trainer.fit(start, steps=4, round_index=0).params)
        trainer.close()
    assert not [record for record in caplog.records if record.name.startswith("gossamer")]  # the worker lived
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in start)
