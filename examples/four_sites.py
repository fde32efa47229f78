"""Four hospitals as four processes on this machine, with mutual TLS between them: ``make federation``.

Each hospital has its own folder, key and certificate, listens on an address of its own (127.0.0.1 to 127.0.0.4), and is
driven by the commands that hospital IT would type. The patients are synthetic. Nothing leaves this machine.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SITES = {"A": "127.0.0.1", "B": "127.0.0.2", "C": "127.0.0.3", "D": "127.0.0.4"}
STRUCTURES = "Liver,Kidney_L,Kidney_R,Spleen,SpinalCord"
PORT, STATUS_PORT = 7443, 7480

SECONDS_BETWEEN_LOOKS = 15

END_WITH_THIS_PROCESS = "from gossamer.parent import end_with_pipe; end_with_pipe(); "


def main() -> int:
    """Set the four sites up, run them, and show what each has at its end; returns the worst exit status."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--out", type=Path, default=Path("federation"))
    asked.add_argument("--patients", type=int, default=6, help="of each hospital; a third of them for validation")
    asked.add_argument("--rounds", type=int, default=24)
    asked.add_argument("--local-steps", type=int, default=10)
    given = asked.parse_args()
    file = given.out / "FED.toml"
    if not file.exists():
        set_up(given.out, file, given.patients, given.rounds, given.local_steps)
    return run(given.out, file)


def set_up(out: Path, file: Path, patients: int, rounds: int, local_steps: int) -> None:
    """What people do once: a key at each site, one file with all cards, which every site approves."""
    cohort = out / "cohort"
    if not cohort.exists():
        gossamer("phantom", "--out", cohort, "--patients", patients, "--val", max(1, patients // 3))
    draft = out / "draft.toml"
    draft.unlink(missing_ok=True)
    title = "Four hospitals on one machine"
    gossamer("federation", "new", draft, "--title", title, "--structures", STRUCTURES,
             "--rounds", rounds, "--local-steps", local_steps)  # fmt: skip
    for name, address in SITES.items():
        site = out / f"site-{name}"
        if not (site / "site.toml").exists():
            reached = f"{address}:{PORT}"
            gossamer("site", "init", "--name", name, "--data", cohort / name, "--address", reached,
                     "--listen", reached, "--folder", site)  # fmt: skip
            with (site / "site.toml").open("a") as settings:
                # Four processes share this machine's cores; at a hospital neither line is needed.
                settings.write(f'status = "{address}:{STATUS_PORT}"\nthreads = 1\n')
        gossamer("federation", "add-site", draft, site / "card.toml")
    for name in SITES:
        gossamer("federation", "approve", draft, "--folder", out / f"site-{name}")
    draft.rename(file)


def run(out: Path, file: Path) -> int:
    """Start the four sites, tell how they get on, and wait for their ends."""
    running = {}
    for name in SITES:
        site = out / f"site-{name}"
        command = words("site", "run", file, "--folder", site, "--json", first=END_WITH_THIS_PROCESS)
        with (site / "log.txt").open("w") as log, (site / "table.json").open("w") as table:
            # The pipe is closed when this process ends, even by SIGKILL: then the sites end, too.
            running[name] = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=table, stderr=log)
    at_the_same_time = ThreadPoolExecutor(len(SITES))
    try:
        next_look = time.monotonic() + SECONDS_BETWEEN_LOOKS
        while any(process.poll() is None for process in running.values()):
            time.sleep(0.5)
            if time.monotonic() >= next_look:
                looks = at_the_same_time.map(lambda name: f"{name}: {how_it_gets_on(out, name)}", SITES)
                print("  ".join(looks), flush=True)
                next_look = time.monotonic() + SECONDS_BETWEEN_LOOKS
    except KeyboardInterrupt:
        print("Stopped. The same command again goes on from here.")
    finally:
        for process in running.values():
            process.terminate()  # those that have ended do not mind
        statuses = {name: process.wait() for name, process in running.items()}
    for name, status in statuses.items():
        print(f"site {name} ended with status {status}; its log: {out / f'site-{name}' / 'log.txt'}")
    worst = max(statuses.values())
    if worst == 0:
        show(out)
    return worst


def how_it_gets_on(out: Path, name: str) -> str:
    """In a few words."""
    asked = subprocess.run(
        words("site", "status", "--folder", out / f"site-{name}", "--json"), capture_output=True, text=True, check=False
    )
    if asked.returncode:
        return "not running"
    status = json.loads(asked.stdout)
    up = sum(peer["reachable"] for peer in status["peers"])
    return f"{status['stage']}, round {status['round_index'] + 1}/{status['rounds']}, {up} lines up"


def show(out: Path) -> None:
    """The table that every site has: rows are hospitals, the model is the same."""
    tables = [json.loads((out / f"site-{name}" / "table.json").read_text()) for name in SITES]
    models = {table["model_sha256"] for table in tables}
    rows = tables[0]["sites"]
    organs = [organ["organ"] for organ in rows[0]["result"]["organs"]]
    same_model = "the same model, to the bit" if len(models) == 1 else "models of their own"
    same_table = "the same table" if all(table["sites"] == rows for table in tables) else "different tables"
    print(f"\nAll four sites have {same_model}, and {same_table}. DSC:")
    print(f"{'site':6}{'cases':>7}" + "".join(f"{organ:>12}" for organ in organs))
    for row in rows:
        found = {organ["organ"]: organ["dsc"] for organ in row["result"]["organs"]}
        cells = "".join(f"{'–' if found[organ] is None else format(found[organ], '.3f'):>12}" for organ in organs)
        print(f"{row['site']:6}{row['result']['cases']:>7}{cells}")


def gossamer(*arguments: object) -> None:
    """Run a command to its end; what it says is shown only if it fails."""
    done = subprocess.run(words(*arguments), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"gossamer {' '.join(map(str, arguments))}\n{done.stderr}")


def words(*arguments: object, first: str = "") -> list[str]:
    """The command, by this very Python, which does something else first."""
    return [sys.executable, "-c", f"{first}from gossamer.cli.main import main; main()", *map(str, arguments)]


if __name__ == "__main__":
    sys.exit(main())
