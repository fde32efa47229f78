"""A made-up study: four hospitals, 32 validation patients, seven organs of which many are not drawn, two seeds."""

import dataclasses
import math

import numpy as np
import pytest

from gossamer.study import comparison
from gossamer.study.results import CurvePoint, LockedScore, RunResult, RunScore, SiteFacts, StudyResults
from gossamer.study.scores import CaseScore, summarise, write_cases

ORGANS = {  # mean DSC when trained well, how often drawn, voxels
    "Brainstem": (0.73, 0.9, 900),
    "SpinalCord": (0.68, 1.0, 700),
    "Parotid_L": (0.71, 0.9, 800),
    "Parotid_R": (0.73, 0.9, 800),
    "Esophagus": (0.50, 0.35, 250),
    "Larynx": (0.62, 0.5, 600),
    "Bone_Mandible": (0.86, 0.65, 1500),
}
SITES = {"A": 55, "B": 41, "C": 60, "D": 44}
LOSS = {  # how far below, by arm and schedule, and how many megabytes a site sends
    ("local-only", "1 patch a step"): (0.11, 0.0),
    ("pooled", "2 patches a step"): (0.025, 655.0),
    ("pooled", "1 patch a step"): (0.0, 655.0),
    ("fedavg", "1 patch a step, exchange every 5"): (0.03, 1512.0),
    ("fedavg", "1 patch a step, exchange every 20"): (0.05, 378.0),
    ("gossip", "1 patch a step, exchange every 5"): (0.035, 3024.0),
    ("gossip", "1 patch a step, exchange every 20"): (0.052, 756.0),
}
CHOSEN = {"local-only": "1 patch a step", "pooled": "1 patch a step",
          "fedavg": "1 patch a step, exchange every 5", "gossip": "1 patch a step, exchange every 5"}  # fmt: skip
SEEDS = (0, 1)


def fake_rows(set_name="val", patients_each=8, random_seed=7):
    """One row per run, patient and drawn organ."""
    rng = np.random.default_rng(random_seed)
    rows = []
    for site in SITES:
        for number in range(patients_each):
            ease = rng.normal(0, 0.05)
            drawn = [organ for organ, (_, rate, _) in ORGANS.items() if rng.random() < rate]
            for organ in drawn:
                level, _, voxels = ORGANS[organ]
                hard = rng.normal(0, 0.06)
                for (arm, schedule), (loss, _) in LOSS.items():
                    worse = loss * (2.5 if organ in {"Esophagus", "Larynx"} else 0.8)
                    for seed in SEEDS:
                        dsc = float(np.clip(level - worse + ease + hard + rng.normal(0, 0.02), 0.0, 0.97))
                        missed = organ == "Esophagus" and arm == "local-only" and number % 3 == 0
                        rows.append(
                            CaseScore(
                                set=set_name,
                                arm=arm,
                                schedule=schedule,
                                seed=seed,
                                site=site,
                                case=f"{site}-{number:03d}",
                                organ=organ,
                                dsc=0.0 if missed else dsc,
                                surface_dsc=0.0 if missed else min(1.0, dsc + 0.12),
                                hd95_mm=math.nan if missed else 2.0 + 25 * (1 - dsc) ** 1.5,
                                reference_voxels=voxels,
                                predicted_voxels=0 if missed else int(voxels * 0.95),
                            )
                        )
    return tuple(rows)


def _site_scores(rows, arm, schedule, seed):
    one = [row for row in rows if (row.arm, row.schedule, row.seed) == (arm, schedule, seed)]
    stem = f"models/{arm}/{schedule}/{seed}"
    models = {site: f"{stem}/{'all' if arm == 'pooled' else site}.safetensors" for site in SITES}
    return summarise(one, structures=tuple(ORGANS), models=models)


def _curve(arm, loss, megabytes, steps, rng):
    points = []
    for share in np.arange(1, 8) / 7:
        organ_dsc = {
            organ: float(max(0.0, (level - loss) * (1 - math.exp(-4 * share)) + rng.normal(0, 0.008)))
            for organ, (level, _, _) in ORGANS.items()
        }
        mean = float(np.mean(list(organ_dsc.values())))
        apart = {"local-only": 0.3 + 0.5 * share, "pooled": 0.0}.get(arm, 0.04 * math.exp(-3 * share))
        grown = megabytes * 4e6 * (1.0 if arm == "pooled" else share)
        points.append(
            CurvePoint(
                step=round(steps * share),
                samples=round(5600 * share),
                bytes_sent=round(grown),
                dsc=mean,
                organ_dsc=organ_dsc,
                site_dsc={site: mean + 0.01 * i for i, site in enumerate(SITES)},
                consensus_distance=apart * float(rng.uniform(0.9, 1.1)),
                loss=1.1 - share / 2,
            )
        )
    return tuple(points)


def _run(rows, arm, schedule, seed):
    loss, megabytes = LOSS[arm, schedule]
    batch_size = 2 if schedule.startswith("2") else 1
    steps = 1400 * (4 if arm == "pooled" else 1) // batch_size
    curve = _curve(arm, loss, megabytes, steps, np.random.default_rng([seed, len(schedule), len(arm)]))
    return RunResult(
        arm=arm,
        schedule=schedule,
        seed=seed,
        chosen=CHOSEN[arm] == schedule,
        steps_per_site=steps,
        batch_size=batch_size,
        samples=5600,
        rounds=0 if "every" not in schedule else 1400 // int(schedule.split()[-1]),
        bytes_sent={site: round(megabytes * 1e6 * (1 - 0.05 * i)) for i, site in enumerate(SITES)},
        wall_s=640.0 + 12 * seed,
        cpu_s=1210.0,
        simulated_s=10850.0,
        best_step=max(curve, key=lambda point: point.dsc).step,
        sites=_site_scores(rows, arm, schedule, seed),
        curve=curve,
        notes=("Esophagus: still at DSC 0 after a fifth of the training at C; drawn in 9 of 48 cases",)
        if arm == "local-only"
        else (),
    )


def _locked_run(rows, arm, seed):
    schedule = CHOSEN[arm]
    return RunScore(arm=arm, schedule=schedule, seed=seed, sites=_site_scores(rows, arm, schedule, seed))


def fake_study(locked=False, public=True):
    """Results and the rows they rest on."""
    rows = fake_rows()
    locked_rows = fake_rows("acceptance", patients_each=12, random_seed=8) if locked else ()
    results = StudyResults(
        title="Head and neck, four hospitals",
        gossamer_version="0.1.0",
        study_sha256="5f" * 32,
        data_sha256={site: f"{i}c" * 32 for i, site in enumerate(SITES)},
        public_data=public,
        plan={"structures": list(ORGANS), "spacing_mm": [3.0, 4.0, 4.0], "patch_size": [64, 64, 64],
              "hu_low": -160.0, "hu_high": 1340.0, "hu_mean": 62.5, "hu_sd": 180.25, "position_channels": True,
              "network": {"name": "unet", "channels": [24, 48, 96, 192]}, "format": 1},
        plan_sha256="ab" * 32,
        structures=tuple(ORGANS),
        tolerance_mm=dict.fromkeys(ORGANS, 3.0) | {"Bone_Mandible": 1.0},
        seeds=SEEDS,
        sites=tuple(
            SiteFacts(
                site=site,
                training_cases=cases - 8,
                validation_cases=8,
                set_aside=1 if site == "B" else 0,
                spacing_mm=(3.0, 3.9 + 0.2 * i, 3.9 + 0.2 * i),
                extent_mm=(134.0 + 60 * i, 498.0, 498.0),
                annotated={organ: round(rate * (cases - 8)) for organ, (_, rate, _) in ORGANS.items()},
                training_image_bytes=655_000_000,
            )
            for i, (site, cases) in enumerate(SITES.items())
        ),
        runs=tuple(_run(rows, arm, schedule, seed) for arm, schedule in LOSS for seed in SEEDS),
        locked=(
            LockedScore(
                set_name="acceptance",
                split="test",
                sha256="ee" * 32,
                opened_at=("2026-03-02T09:15:00Z",),
                runs=tuple(_locked_run(locked_rows, arm, seed) for arm in CHOSEN for seed in SEEDS),
            ),
        )
        if locked
        else (),
        environment={"python": "3.11.9", "torch": "2.13.0", "monai": "1.6.0", "device": "CPU, 2 threads"},
        notes=("B: one case set aside, its CT and label map lie on different grids",),
    )  # fmt: skip
    return results, rows + locked_rows


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    """No test here cuts a machine's power: what a process wrote its successor reads, flushed or not."""
    monkeypatch.setattr("os.fsync", lambda _descriptor: None)


@pytest.fixture(scope="session", autouse=True)
def fewer_resamples():
    """Intervals to two digits, so that a page is drawn in tenths of a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparison, "RESAMPLES", 500)
        patch.setattr(comparison, "PART_RESAMPLES", 200)
        yield


@pytest.fixture(scope="session")
def study():
    """Results and rows of a study without a locked set."""
    return fake_study()


@pytest.fixture(scope="session")
def locked_study():
    """Results and rows of a study whose models were scored on a locked set as well."""
    return fake_study(locked=True)


@pytest.fixture(scope="session")
def cases_csv(study, tmp_path_factory):
    """The study's ``cases.csv``."""
    path = tmp_path_factory.mktemp("study") / "cases.csv"
    write_cases(path, study[1])
    return path


@pytest.fixture(scope="session")
def toy_workspace(toy_home, toy_settings, tmp_path_factory):
    """The toy study of ``tests/conftest.py``, planned and prepared."""
    from gossamer.study.workspace import open_datasets, open_workspace
    from gossamer.watch import Unwatched

    folder = tmp_path_factory.mktemp("workspace")
    return open_workspace(toy_settings, open_datasets(toy_settings, toy_home), folder, Unwatched())


@pytest.fixture
def workspace(toy_workspace, tmp_path):
    """The same, with a folder for results of its own."""
    return dataclasses.replace(toy_workspace, folder=tmp_path / "results")
