"""How long until something happens: from the start of Python to the first local step, the help, and a federation file.

The floor is what nobody can do without: import PyTorch and MONAI, build the same network, take one step on random
numbers of the same size. Gossamer builds the trainer through its own door and takes one step on a prepared case. Both
run in fresh child processes, by turns, in one run of this script; the ratio is of medians.

Run: python -m benchmarks.start_up [--quick] [--json FILE] [--repeats 7]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.figures import Figure, conclude, options_parser
from gossamer.data.plan import NetworkPlan, Plan
from gossamer.data.prepared import arrays_on_grid, write_prepared_case
from gossamer.runtime.federation_file import new_federation

FLOOR = """
import sys
import torch
from monai.networks.nets import UNet
torch.set_num_threads(int(sys.argv[2]))
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
recipe = Recipe(threads=int(sys.argv[2]), precision="32-true")
trainer = SegmentationTrainer(
    [read_prepared_case(home / "case")], plan, recipe, seed=0, site="A", total_steps=100
)
trainer.fit(parameters_of(build_network(plan)), steps=1, round_index=0)
"""


HELP = """
import sys
from gossamer.cli.main import main
sys.argv = ["gossamer", "--help"]
main()
"""


SHOW = """
import sys
from gossamer.cli.main import main
sys.argv = ["gossamer", "federation", "show", f"{sys.argv[1]}/federation.toml"]
main()
"""


def main() -> None:
    """Measure and print the figures."""
    parser = options_parser(__doc__)
    parser.add_argument("--repeats", type=int, default=7, help="runs of each, by turns")
    options = parser.parse_args()
    repeats = 1 if options.quick else options.repeats
    scripts = {"floor": FLOOR, "first local step": GOSSAMER, "gossamer --help": HELP, "gossamer federation show": SHOW}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        write_inputs(home)
        if not options.quick:  # once unmeasured: files come from the disk the first time
            for script in scripts.values():
                seconds_of(script, home, options.threads)
        rounds = [[seconds_of(script, home, options.threads) for script in scripts.values()] for _ in range(repeats)]
    median_s = {name: statistics.median(times) for name, times in zip(scripts, zip(*rounds, strict=True), strict=True)}
    for name, seconds in median_s.items():
        print(f"{name:26}{seconds:8.3f} s, median of {repeats}")
    conclude(
        [
            Figure(
                "first local step to bare PyTorch and MONAI: time",
                median_s["first local step"] / median_s["floor"],
                1.5,
            ),
            Figure("gossamer --help", median_s["gossamer --help"], 0.5, "s"),
            Figure("gossamer federation show", median_s["gossamer federation show"], 0.8, "s"),
        ],
        options,
    )


def write_inputs(home: Path) -> None:
    """A plan, one prepared case of two structures, and a federation file."""
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
    new_federation(home / "federation.toml", "A federation", plan.structures, rounds=100, local_steps=20)
    hu = np.random.default_rng(0).normal(0, 50, (64, 96, 96))
    masks = {name: np.zeros(hu.shape, dtype=bool) for name in plan.structures}
    masks["Parotid_L"][30:40, 40:50, 60:70] = True
    masks["Parotid_R"][30:40, 40:50, 20:30] = True
    arrays = arrays_on_grid(hu, masks, plan.spacing_mm, plan)
    write_prepared_case(home / "case", arrays, split="train", annotated=[True, True], complete=[True, True])


def seconds_of(script: str, home: Path, threads: int) -> float:
    """Wall seconds of a fresh process that runs ``script``."""
    began = time.perf_counter()
    command = [sys.executable, "-c", script, str(home), str(threads)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
