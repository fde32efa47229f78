"""A campaign whose process dies, whatever of, leaves none of its sites behind."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import psutil

import faults

LONGEST_S = 60.0

CAMPAIGN = """
import time
from faults.processes import begin

if __name__ == "__main__":
    print(*(begin(time.sleep, 600.0, imported=()).pid for _ in range(2)), flush=True)
    time.sleep(600)
"""


def is_gone(process):
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_the_sites_of_a_killed_campaign_are_gone(tmp_path):
    file = tmp_path / "campaign.py"
    file.write_text(CAMPAIGN)
    environment = {**os.environ, "PYTHONPATH": str(Path(faults.__file__).parents[1])}
    sites = []
    campaign = subprocess.Popen([sys.executable, file], stdout=subprocess.PIPE, text=True, env=environment)
    try:
        sites = [psutil.Process(int(process_id)) for process_id in campaign.stdout.readline().split()]
        assert len(sites) == 2
        assert not any(map(is_gone, sites))
        campaign.kill()
        until_s = time.monotonic() + LONGEST_S
        while not all(map(is_gone, sites)):
            assert time.monotonic() < until_s
            time.sleep(0.02)
    finally:
        campaign.kill()
        campaign.communicate()
        for site in sites:
            if not is_gone(site):
                site.kill()


def test_no_campaign_starts_a_process_in_another_way():
    modules = [path for path in Path(faults.__file__).parent.glob("*.py") if path.name != "processes.py"]
    assert modules
    found = [path.name for path in modules if re.search(r"multiprocessing(?!\.connection)|os\.fork", path.read_text())]
    assert found == []
