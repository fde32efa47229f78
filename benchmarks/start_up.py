"""How long from the start of Python to the end of the first local step: Gossamer against its floor.

The floor is what nobody can do without: import PyTorch and MONAI, build the same network, take one step on random
numbers of the same size. Gossamer builds the trainer through its own door and takes one step on a prepared case. Both
run in fresh child processes, by turns, in one run of this script; the ratio is of medians.

    python benchmarks/start_up.py [--repeats 7]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from gossamer.data.plan import NetworkPlan, Plan
from gossamer.data.prepared import arrays_on_grid, write_prepared_case

PROMISED_RATIO = 1.5

FLOOR = """
import torch
from monai.networks.nets import UNet
torch.set_num_threads(2)
network = UNet(3, 3, 2, (24, 48, 96, 192), (2, 2, 2), norm="instance", act=("leakyrelu", {"negative_slope": 0.01}))
optimizer = torch.optim.AdamW(network.parameters(), 2e-3, fused=True)
image, target = torch.randn(1, 3, 48, 48, 48), (torch.rand(1, 2, 48, 48, 48) < 0.1).float()
loss = torch.nn.functional.binary_cross_entropy_with_logits(network(image), target)
loss.backward()
optimizer.step()
"""

GOSSAMER = """
import sys
from pathlib import Path
from gossamer.data.plan import Plan
from gossamer.data.prepared import read_prepared_case
from gossamer.learn.recipe import Recipe
from gossamer.learn.trainer import SegmentationTrainer
from gossamer.nets import build_network, parameters_of
home = Path(sys.argv[1])
plan = Plan.from_json((home / "plan.json").read_text())
trainer = SegmentationTrainer(
    [read_prepared_case(home / "case")], plan, Recipe(threads=2, precision="32-true"), seed=0, site="A", total_steps=100
)
trainer.fit(parameters_of(build_network(plan)), steps=1, round_index=0)
"""


def main() -> None:
    """Measure and print one JSON object; exit status 1 if the promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7, help="runs of each, by turns")
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        write_inputs(home)
        for script in (FLOOR, GOSSAMER):  # once unmeasured: files come from the disk the first time
            seconds_of(script, home)
        pairs = [(seconds_of(FLOOR, home), seconds_of(GOSSAMER, home)) for _ in range(repeats)]
    floor_s, gossamer_s = (statistics.median(times) for times in zip(*pairs, strict=True))
    ratio = gossamer_s / floor_s
    print(
        json.dumps(
            {"floor_s": round(floor_s, 3), "gossamer_s": round(gossamer_s, 3), "ratio": round(ratio, 3)}
            | {"promised": PROMISED_RATIO, "repeats": repeats}
        )
    )
    sys.exit(ratio > PROMISED_RATIO)


def write_inputs(home: Path) -> None:
    """A plan and one prepared case of two structures."""
    plan = Plan(
        structures=("Parotid_L", "Parotid_R"),
        spacing_mm=(4.0, 4.0, 4.0),
        patch_size=(48, 48, 48),
        hu_low=-200.0,
        hu_high=300.0,
        hu_mean=0.0,
        hu_sd=100.0,
        position_channels=True,
        network=NetworkPlan("unet", (24, 48, 96, 192), ((2, 2, 2),) * 3),
    )
    (home / "plan.json").write_text(plan.to_json())
    hu = np.random.default_rng(0).normal(0, 50, (64, 96, 96))
    masks = {name: np.zeros(hu.shape, dtype=bool) for name in plan.structures}
    masks["Parotid_L"][30:40, 40:50, 60:70] = True
    masks["Parotid_R"][30:40, 40:50, 20:30] = True
    arrays = arrays_on_grid(hu, masks, plan.spacing_mm, plan)
    write_prepared_case(home / "case", arrays, split="train", annotated=[True, True], complete=[True, True])


def seconds_of(script: str, home: Path) -> float:
    """Wall seconds of a fresh process that runs ``script``."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", script, str(home)], check=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
