"""A GPU that is there and cannot be used is a fault; none at all is not."""

import pytest
import torch

from gossamer.runtime.preflight.gpu import check_gpu
from gossamer.runtime.preflight.needs import Needs

GIB = 2**30
NEEDS = Needs(model_bytes=0, prepared_bytes=0, run_bytes=0, memory_bytes=0, device_bytes=4 * GIB)


@pytest.fixture(autouse=True)
def _no_tools(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda _name: None)


@pytest.fixture
def lost(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)


@pytest.fixture
def card(monkeypatch):
    """A GPU as PyTorch shows one, with so much free memory."""

    def plug(free, works=True):
        def ones(*_args, **_kwargs):
            if not works:
                raise RuntimeError("CUDA error: no kernel image is available\nmore")
            return torch.zeros(8)

        monkeypatch.setattr("torch.cuda.is_available", lambda: True)
        monkeypatch.setattr("torch.ones", ones)
        monkeypatch.setattr("torch.cuda.mem_get_info", lambda: (free, 24 * GIB))
        monkeypatch.setattr("torch.cuda.get_device_name", lambda: "A 5000")
        monkeypatch.setattr("torch.cuda.device_count", lambda: 2)

    return plug


def make(root, *paths):
    for path, text in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


PCI = ("sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de\n"), ("sys/bus/pci/devices/0000:01:00.0/class", "0x030200\n")


@pytest.mark.usefixtures("lost")
def test_no_gpu_is_a_note(tmp_path):
    make(tmp_path, ("sys/bus/pci/devices/0/vendor", "0x8086\n"), ("sys/bus/pci/devices/0/class", "0x030000\n"))
    [finding] = check_gpu(NEEDS, tmp_path)
    assert (finding.state, finding.code) == ("ok", "")


@pytest.mark.usefixtures("lost")
@pytest.mark.parametrize("path", ["dev/nvidia0", "proc/driver/nvidia/gpus/0000:01:00.0/information"])
@pytest.mark.parametrize(("build", "words"), [(None, "PyTorch build for CUDA"), ("12.8", "--gpus all")])
def test_a_gpu_that_pytorch_cannot_use_is_a_fault(tmp_path, monkeypatch, path, build, words):
    make(tmp_path, (path, ""))
    monkeypatch.setattr("torch.version.cuda", build)
    [finding] = check_gpu(NEEDS, tmp_path)
    assert (finding.state, finding.code) == ("fault", "GOS-606")
    assert words in finding.remedy


@pytest.mark.usefixtures("lost")
def test_a_card_without_a_driver_is_a_warning(tmp_path, monkeypatch):
    make(tmp_path, *PCI)
    [finding] = check_gpu(NEEDS, tmp_path)
    assert (finding.state, finding.code, "1 NVIDIA card" in finding.found) == ("warning", "GOS-606", True)
    monkeypatch.setattr("shutil.which", lambda _name: "/usr/bin/nvidia-smi")
    assert "nvidia-smi" in check_gpu(NEEDS, tmp_path / "none")[0].found


def test_a_gpu_that_works_is_named_with_what_is_free(card, tmp_path):
    card(20 * GIB)
    [finding] = check_gpu(NEEDS, tmp_path)
    assert (finding.state, finding.found) == ("ok", "2 x A 5000, 20.0 GiB free on the first")


def test_a_gpu_without_room_is_short_of_memory(card, tmp_path):
    card(GIB)
    assert [(each.state, each.code) for each in check_gpu(NEEDS, tmp_path)] == [("fault", "GOS-607")]


def test_a_gpu_that_is_seen_and_fails_is_a_fault(card, tmp_path):
    card(20 * GIB, works=False)
    [finding] = check_gpu(NEEDS, tmp_path)
    assert (finding.state, finding.code) == ("fault", "GOS-606")
    assert finding.found.endswith("no kernel image is available")
