"""A model file that was told of is not written again, whatever this site has heard since."""

from types import SimpleNamespace

import pytest
import torch

from gossamer.data.fingerprint import Fingerprint
from gossamer.nets import build_network, parameters_of
from gossamer.runtime.federation_file import Federation, FederationSettings
from gossamer.runtime.joining import agreed_plan, fingerprints_of, join_notice
from gossamer.runtime.site_models import SiteModels
from gossamer.segment.model_file import read_model
from gossamer.watch import Unwatched


def notice(cases):
    spacing = ({20: cases}, {20: cases}, {20: cases})
    extent = ({200: cases}, {150: cases}, {150: cases})
    return join_notice(Fingerprint(cases, {"Liver": cases}, {0: 500, 50: 1000, 100: 500}, spacing, extent))


@pytest.fixture
def said():
    """Of two founders, on the board."""
    return {"A": notice(3), "B": notice(7)}


@pytest.fixture
def made(tmp_path, said):
    """Model files, parameters and a plan."""
    rules = {"channels": (4, 8), "patch_size": (16, 16, 16), "position_channels": False}
    settings = FederationSettings(title="Two", structures=("Liver",), rounds=1, local_steps=1, plan=rules)
    federation = Federation(settings, "f" * 64)
    plan = agreed_plan(federation, fingerprints_of(said))
    board = SimpleNamespace(said=lambda topic: said)
    audit = SimpleNamespace(note=lambda entry: None)
    models = SiteModels(tmp_path, federation, board, audit, Unwatched())
    return models, parameters_of(build_network(plan, 0)), plan


def test_a_site_that_joined_late_does_not_change_the_file_of_a_restart(made, said):
    models, params, plan = made
    told = models.write(params, plan)
    before = models.path.stat().st_ino
    said["C"] = notice(1)
    again = {name: tensor.clone() for name, tensor in params.items()}  # as a journal gives them
    assert models.write(again, plan) == told == read_model(models.path).sha256
    assert models.path.stat().st_ino == before


def test_a_damaged_file_is_written_again(made):
    models, params, plan = made
    told = models.write(params, plan)
    models.path.write_bytes(models.path.read_bytes()[:-1])
    assert models.write(params, plan) == told == read_model(models.path).sha256


def test_other_parameters_are_another_model(made):
    models, params, plan = made
    told = models.write(params, plan)
    others = {name: tensor + 1 for name, tensor in params.items()}
    assert models.write(others, plan) != told
    assert all(torch.equal(tensor, others[name]) for name, tensor in read_model(models.path).params.items())
