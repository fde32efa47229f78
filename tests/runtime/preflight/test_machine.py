"""Memory and /dev/shm as containers really have them."""

from collections import namedtuple

import pytest

from gossamer.runtime.preflight.machine import available_bytes, check_memory, check_shared_memory
from gossamer.runtime.preflight.needs import Needs

GIB = 2**30
NEEDS = Needs(model_bytes=0, prepared_bytes=0, run_bytes=0, memory_bytes=4 * GIB, device_bytes=0)
Usage = namedtuple("Usage", "total used free")  # as shutil has it


@pytest.fixture
def system(tmp_path):
    """Writes files of a machine: by path, its text."""

    def write(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


MEMINFO = {"proc/meminfo": f"MemTotal: 99 kB\nMemAvailable:   {8 * 2**20} kB\n"}


def test_without_a_container_the_machine_s_memory_counts(system):
    assert available_bytes(system(MEMINFO)) == 8 * GIB


@pytest.mark.parametrize(
    ("group", "files"),
    [
        ("0::/svc/gossamer\n", {"svc/gossamer/memory.max": "max\n", "svc/memory.max": f"{2 * GIB}\n"}),
        ("0::/\n", {"memory.max": f"{2 * GIB}\n"}),
        ("4:cpu:/x\n5:memory:/docker/12\n", {"memory/memory.limit_in_bytes": f"{2 * GIB}\n"}),
    ],
    ids=["a service's parent, v2", "a container, v2", "a container, v1"],
)
def test_the_least_limit_of_the_control_groups_counts(system, group, files):
    root = system(
        MEMINFO | {"proc/self/cgroup": group} | {f"sys/fs/cgroup/{name}": said for name, said in files.items()}
    )
    assert available_bytes(root) == 2 * GIB


def test_limits_that_are_none_do_not_count(system):
    files = {"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "max\n"}
    assert available_bytes(system(MEMINFO | files)) == 8 * GIB


def test_a_system_that_says_nothing_is_no_fault(tmp_path):
    assert available_bytes(tmp_path) is None
    assert check_memory(None, NEEDS)[0].state == "ok"


def test_this_machine_says_something():
    available = available_bytes()
    assert available is None or available > 2**20


@pytest.mark.parametrize(("available", "state"), [(6 * GIB, "ok"), (4.5 * GIB, "warning"), (3 * GIB, "fault")])
def test_memory_is_compared_with_what_a_run_needs(available, state):
    [finding] = check_memory(int(available), NEEDS)
    assert (finding.state, finding.code) == (state, "" if state == "ok" else "GOS-607")
    assert "4.0 GiB" in finding.found


def test_memory_without_needs_is_only_said():
    assert check_memory(GIB, None)[0].found.startswith("1.0 GiB available")


@pytest.mark.parametrize(("total", "state"), [(64 * 2**20, "warning"), (GIB, "ok")])
def test_a_container_s_64_mb_of_shared_memory_are_found(system, monkeypatch, total, state):
    root = system({"dev/shm/x": ""})
    monkeypatch.setattr("shutil.disk_usage", lambda _path: Usage(total, 0, total))
    [finding] = check_shared_memory(root)
    assert (finding.state, finding.code) == (state, "" if state == "ok" else "GOS-605")
    assert ("64 MiB" in finding.found) == ("--shm-size" in finding.remedy) == (state == "warning")


def test_no_shared_memory_nothing_to_say(tmp_path):
    assert check_shared_memory(tmp_path) == []
