"""The report's tables, as cells with text; the page decides how they look."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gossamer.evaluate.intervals import Interval
from gossamer.study import numerals as num
from gossamer.study.comparison import POOLED, ArmFindings, Comparison, OrganFindings
from gossamer.study.results import RunResult, StudyResults


@dataclass(frozen=True)
class Cell:
    """One cell: its text, what is written smaller beneath, and the arm whose marker goes before it."""

    text: str
    note: str = ""
    arm: str = ""
    strong: bool = False


@dataclass(frozen=True)
class Table:
    """A table; the first column names the rows."""

    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    words: tuple[int, ...] = (0,)
    """Columns of words, which stand to the left; numbers stand to the right."""


def arm_table(comparison: Comparison) -> Table:
    """What each arm reached and what it cost."""
    return Table(
        head=("Arm", "DSC", "To pooled", "Worst hospital", "Surface DSC", "HD95, mm", "Sent by busiest hospital",
              "Steps of a hospital", "Seeds, DSC"),
        rows=tuple(_arm_row(arm) for arm in comparison.arms),
    )  # fmt: skip


def _arm_row(arm: ArmFindings) -> tuple[Cell, ...]:
    run = arm.runs[0]
    worst = arm.site_dsc[arm.worst_site].estimate
    spread = sorted(arm.seed_dsc.values())
    return (
        Cell(arm.arm, arm.schedule, arm=arm.arm),
        Cell(num.score(arm.dsc.estimate), num.score_bounds(arm.dsc), strong=True),
        gain_cell(arm.to_pooled),
        Cell(num.score(worst), arm.worst_site),
        score_cell(arm.surface_dsc),
        Cell(num.millimetres(arm.hd95_mm.estimate), num.millimetre_bounds(arm.hd95_mm)),
        Cell(num.megabytes(arm.busiest_bytes), "all its images" if arm.arm == POOLED else ""),
        Cell(num.count(run.steps_per_site), "one trainer for all" if arm.arm == POOLED else ""),
        Cell(
            " to ".join(dict.fromkeys((num.score(spread[0]), num.score(spread[-1])))),
            f"{len(spread)} seed{'s' if len(spread) != 1 else ''}",
        ),
    )


def score_cell(interval: Interval) -> Cell:
    """A score with its bounds."""
    return Cell(num.score(interval.estimate), num.score_bounds(interval))


def gain_cell(interval: Interval | None) -> Cell:
    """A difference with its bounds; a dash where there is none."""
    return Cell(num.ABSENT) if interval is None else Cell(num.gain(interval.estimate), num.gain_bounds(interval))


def organ_tables(comparison: Comparison) -> Mapping[str, Table]:
    """Organs by arms, for each metric by its heading."""

    def dsc(found: OrganFindings) -> Cell:
        missed = f" {found.missed}/{found.scored} missed" if found.missed else ""
        return Cell(num.score(found.dsc.estimate), num.score_bounds(found.dsc) + missed)

    return {
        "DSC": _organ_table(comparison, dsc),
        "Surface DSC": _organ_table(comparison, lambda found: score_cell(found.surface_dsc)),
        "HD95, mm": _organ_table(
            comparison,
            lambda found: Cell(num.millimetres(found.hd95_mm.estimate), num.millimetre_bounds(found.hd95_mm)),
        ),
    }


def _organ_table(comparison: Comparison, cell: Callable[[OrganFindings], Cell]) -> Table:
    return Table(
        head=("Organ", "Patients", *(arm.arm for arm in comparison.arms)),
        rows=tuple(
            (Cell(organ), Cell(num.count(patients)), *(cell(arm.organs[organ]) for arm in comparison.arms))
            for organ, patients in comparison.organ_patients.items()
        ),
    )


def hospital_table(comparison: Comparison) -> Table:
    """Hospitals by arms."""
    return Table(
        head=("Hospital", "Patients", *(arm.arm for arm in comparison.arms)),
        rows=tuple(
            (Cell(site), Cell(num.count(patients)), *(score_cell(arm.site_dsc[site]) for arm in comparison.arms))
            for site, patients in comparison.patients.items()
        ),
    )


def curve_table(runs: Sequence[RunResult]) -> Table:
    """What was measured while the runs trained."""
    return Table(
        head=("Arm", "Seed", "Step", "Patches", "MB sent", "DSC", "Loss", "Distance of the sites"),
        rows=tuple(
            (
                Cell(run.arm),
                Cell(str(run.seed)),
                Cell(num.count(point.step)),
                Cell(num.count(point.samples)),
                Cell(f"{point.bytes_sent / 1e6:,.1f}"),
                Cell(num.score(point.dsc)),
                Cell(f"{point.loss:.3f}"),
                Cell(f"{point.consensus_distance:.2e}"),
            )
            for run in runs
            for point in run.curve
        ),
    )


def schedule_table(runs: Sequence[RunResult]) -> Table:
    """Every run: what its arm tried, and what it cost."""
    return Table(
        head=("Arm", "Schedule", "Chosen", "Seed", "DSC at checkpoint", "Checkpoint at step", "Steps", "Patches",
              "Rounds", "Sent by all", "Wall", "CPU", "On simulated lines"),
        rows=tuple(
            (
                Cell(run.arm, arm=run.arm),
                Cell(run.schedule),
                Cell("yes" if run.chosen else "no"),
                Cell(str(run.seed)),
                Cell(num.score(checkpoint_dsc(run))),
                Cell(num.count(run.best_step)),
                Cell(num.count(run.steps_per_site)),
                Cell(num.count(run.samples)),
                Cell(num.count(run.rounds)),
                Cell(num.megabytes(sum(run.bytes_sent.values()))),
                Cell(num.duration(run.wall_s)),
                Cell(num.duration(run.cpu_s)),
                Cell(num.duration(run.simulated_s)),
            )
            for run in runs
        ),
        words=(0, 1, 2),
    )  # fmt: skip


def checkpoint_dsc(run: RunResult) -> float | None:
    """Validation DSC, on the plan's grid, of the checkpoint that was chosen."""
    return next((point.dsc for point in run.curve if point.step == run.best_step), None)


def site_table(results: StudyResults) -> Table:
    """Who the hospitals are."""
    return Table(
        head=("Hospital", "Training", "Validation", "Set aside", "Spacing z, y, x, mm", "Extent z, y, x, mm",
              "Training images"),
        rows=tuple(
            (
                Cell(site.site),
                Cell(num.count(site.training_cases)),
                Cell(num.count(site.validation_cases)),
                Cell(num.count(site.set_aside)),
                Cell(" × ".join(f"{mm:.1f}" for mm in site.spacing_mm)),
                Cell(" × ".join(f"{mm:.0f}" for mm in site.extent_mm)),
                Cell(num.megabytes(site.training_image_bytes)),
            )
            for site in results.sites
        ),
    )  # fmt: skip


def drawn_table(results: StudyResults) -> Table:
    """In how many training patients of each hospital each organ was drawn."""
    return Table(
        head=("Organ", *(site.site for site in results.sites)),
        rows=tuple(
            (Cell(organ), *(Cell(num.count(site.annotated.get(organ, 0))) for site in results.sites))
            for organ in results.structures
        ),
    )


def pairs_table(head: tuple[str, str], pairs: Mapping[str, object]) -> Table:
    """Names and what they stand for."""
    return Table(head=head, rows=tuple((Cell(name), Cell(str(value))) for name, value in pairs.items()), words=(0, 1))
