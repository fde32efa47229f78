"""What ``gossamer import`` says of an import: tables for eyes, JSON, and a report patient by patient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from gossamer.data.importers.run import Imported


@dataclass(frozen=True)
class Report:
    """A report patient by patient, written beside the dataset; it holds no text of the hospital's, and no path.

    Attributes:
        path: of the JSON file.
        files: what is to be said of the files.
    """

    path: Path
    files: Mapping[str, Any]

    def write(self, imported: Imported) -> None:
        """Write what became of each patient, whether or not the import ends well."""
        from json import dumps

        from gossamer.atomic import write_atomically

        document = {**_summary(imported), "cases": _cases_of(imported), **self.files}
        for site in document["sites"]:
            del site["folder"]  # may be named after anything
        write_atomically(self.path, dumps(document, indent=1) + "\n")


def cases_were(count: int) -> str:
    """``1 case was``, ``2 cases were``."""
    return "1 case was" if count == 1 else f"{count} cases were"


def say_same_ct(imported: Imported) -> None:
    """Patients whose CTs are equal to the voxel; worse where one of them trains and another is to be scored."""
    from gossamer.cli.console import Teller

    for same in _same_ct(imported):
        splits = {case["split"] for case in same}
        worse = ", of which some train and some are to be scored" if len(splits) > 1 else ""
        listed = ", ".join(f"{case['case']} ({case['split']})" for case in same)
        Teller().say(f"The same CT, voxel for voxel, in {len(same)} cases{worse}: {listed}. One patient twice?")


def _same_ct(imported: Imported) -> list[list[dict[str, str]]]:
    from gossamer.data.second_look import same_ct

    sites = {id(case): dataset.site for dataset in imported.datasets for case in dataset.cases}
    groups = same_ct(case for dataset in imported.datasets for case in dataset.cases)
    return [[{"site": sites[id(case)], "case": case.id, "split": case.split} for case in same] for same in groups]


def show_json(imported: Imported, report: Report | None) -> None:
    """Print the summary as JSON."""
    from json import dumps

    typer.echo(dumps(_summary(imported) | ({"cases": _cases_of(imported), **report.files} if report else {}), indent=1))


def show(imported: Imported, report: Report | None) -> None:
    """Print tables: with a report patient by patient, and one row a site."""
    from rich.table import Table

    from gossamer.cli.console import results_console

    console = results_console()
    if report:
        console.print(_table_of_cases(imported))
    grid = Table("site", "train", "val", "test", "drawn in patients (to be scored in)", "set aside")
    for site in _summary(imported)["sites"]:
        drawn = ", ".join(f"{name} {n['drawn']} ({n['complete']})" for name, n in site["structures"].items())
        grid.add_row(
            site["site"], *(str(site[split]) for split in ("train", "val", "test")), drawn, str(len(site["set_aside"]))
        )
    console.print(grid)
    for dataset in imported.datasets:
        for bad in dataset.set_aside:
            console.print(f"Set aside at site {dataset.site}: {bad.case}: {bad.reason}", markup=False, soft_wrap=True)
    if imported.left_out and not report:
        console.print(f"{cases_were(len(imported.left_out))} left out by the rules of the data set; --json says why.")
    for left in imported.left_out if report else ():
        console.print(f"Left out: {left.case}: {left.reason}", markup=False, soft_wrap=True)


def _table_of_cases(imported: Imported) -> Table:
    from rich.table import Table

    grid = Table("case", "split", "drawn", "to be looked at")
    for case in _cases_of(imported):
        grid.add_row(case["case"], case["split"], ", ".join(case["drawn"]), "\n".join(case["notes"]))
    return grid


def _cases_of(imported: Imported) -> list[dict[str, Any]]:
    return [
        {
            "site": dataset.site,
            "case": case.id,
            "split": case.split,
            "drawn": list(case.annotated),
            "complete": list(case.complete),
            "notes": list(case.notes),
        }
        for dataset in imported.datasets
        for case in dataset.cases
    ]


def _summary(imported: Imported) -> dict[str, Any]:
    return {
        "sites": [
            {
                "site": dataset.site,
                "folder": str(dataset.folder),
                "sha256": dataset.sha256,
                **{split: sum(case.split == split for case in dataset.cases) for split in ("train", "val", "test")},
                "structures": {
                    name: {
                        "drawn": sum(name in case.annotated for case in dataset.cases),
                        "complete": sum(name in case.complete for case in dataset.cases),
                    }
                    for name in dataset.structures
                },
                "set_aside": [bad.model_dump() for bad in dataset.set_aside],
            }
            for dataset in imported.datasets
        ],
        "left_out": [case.model_dump() for case in imported.left_out],
        "same_ct": _same_ct(imported),
        "failed": {site: str(error) for site, error in imported.failed.items()},
        "kept": imported.kept,
        "written": imported.written,
    }
