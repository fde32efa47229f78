"""A process that was killed leaves no child behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

LONGEST_S = 60.0

FORKSERVER = """
import multiprocessing, time
from gossamer.parent import end_with_parent

def live():
    end_with_parent()
    print("child", __import__("os").getpid(), flush=True)
    time.sleep(600)

if __name__ == "__main__":
    context = multiprocessing.get_context("forkserver")
    children = [context.Process(target=live) for _ in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join()
"""

PIPE = """
import subprocess, sys
LIVE = '''
import os, time
from gossamer.parent import end_with_pipe
end_with_pipe()
print("child", os.getpid(), flush=True)
time.sleep(600)
'''
children = [subprocess.Popen([sys.executable, "-c", LIVE], stdin=subprocess.PIPE) for _ in range(2)]
for child in children:
    child.wait()
"""

POOL = """
import os, time
from gossamer.bounded_pool import Bounds, outcomes

def live(number):
    print("child", os.getpid(), flush=True)
    time.sleep(600)

if __name__ == "__main__":
    list(outcomes(live, [0, 1], lambda number: Bounds(2**30, 600.0), workers=2))
"""


def gone(process_id):
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"  # ended; whoever adopted it has not looked yet


@pytest.mark.parametrize("program", [FORKSERVER, PIPE, POOL], ids=["forkserver", "pipe", "pool"])
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc to find processes in")
def test_the_children_of_a_killed_process_are_gone(tmp_path, program):
    file = tmp_path / "program.py"
    file.write_text(program)
    children = []
    parent = subprocess.Popen([sys.executable, file], stdout=subprocess.PIPE, text=True)
    try:
        children = [int(parent.stdout.readline().split()[1]) for _ in range(2)]
        assert not any(gone(child) for child in children)
        parent.kill()
        until_s = time.monotonic() + LONGEST_S
        while not all(gone(child) for child in children):
            assert time.monotonic() < until_s
            time.sleep(0.02)
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()
        for child in children:
            if not gone(child):
                os.kill(child, signal.SIGKILL)
