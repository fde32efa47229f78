"""The table that a site's run ends with on a terminal: the model on every site's patients."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from gossamer.runtime.site_results import FederationResults, OrganResult, ResultNotice

ABSENT = "absent"
REFUSED = "refused"
NO_PATIENT = "–"


def results_table(results: FederationResults) -> Table:
    """DSC by site and organ, with the number of patients, for ``rich`` to print."""
    organs = list(dict.fromkeys(organ.organ for site in results.sites for organ in _organs(site.result)))
    table = Table(box=None, pad_edge=False, title="DSC (patients)", title_justify="left", title_style="bold")
    table.add_column("site")
    table.add_column("cases", justify="right")
    for organ in organs:
        table.add_column(Text(organ), justify="right", no_wrap=True)
    for site in results.sites:
        cells = [_cell(site.result, organ) for organ in organs]
        table.add_row(Text(site.site), str(site.result.cases) if site.result else ABSENT, *cells)
    table.caption = "cases: training cases that the site gave; refused: what its policy keeps back"
    table.caption_justify = "left"
    return table


def _organs(result: ResultNotice | None) -> tuple[OrganResult, ...]:
    return result.organs if result else ()


def _cell(result: ResultNotice | None, organ: str) -> str:
    if result is None:
        return ABSENT
    if result.refused:
        return REFUSED
    [found] = [each for each in result.organs if each.organ == organ] or [None]
    if found is None or found.patients == 0:
        return NO_PATIENT
    return REFUSED if found.patients is None or found.dsc is None else f"{found.dsc:.3f} ({found.patients})"
