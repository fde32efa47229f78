"""All checks of a site, each bounded, most at once: what ``gossamer check`` asks.

Law
    1. It ends within five minutes, whatever hangs: what has not answered by then is said to be late.
    2. It leaves nothing behind, here or at a peer.
    3. No finding holds a path, or anything of a patient but the pseudonym of a case.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from gossamer.data.dataset import Dataset
from gossamer.data.planning import DEFAULT_RULES
from gossamer.errors import DataError, GossamerError, ResourceError
from gossamer.learn.recipe import Recipe
from gossamer.runtime.federation_file import Federation
from gossamer.runtime.preflight.agreement import check_federation, check_membership
from gossamer.runtime.preflight.bounded import Answers, ask
from gossamer.runtime.preflight.certificates import check_keys, check_settings
from gossamer.runtime.preflight.disk import check_room, check_writing
from gossamer.runtime.preflight.finding import Finding, fault, fault_of
from gossamer.runtime.preflight.gpu import check_gpu
from gossamer.runtime.preflight.listening import check_listening
from gossamer.runtime.preflight.machine import available_bytes, check_memory, check_shared_memory
from gossamer.runtime.preflight.needs import Needs, expected_needs
from gossamer.runtime.preflight.own_data import check_data
from gossamer.runtime.preflight.peers import check_peer
from gossamer.runtime.site_folder import SiteFolder, SiteSettings
from gossamer.watch import Watch

Check = Callable[[], list[Finding]]

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Budget:
    """How long things may take, in seconds. Opening and checking, one after the other, stay below five minutes."""

    opening_s: float = 30.0
    reading_s: float = 210.0
    checking_s: float = 240.0


DEFAULT_BUDGET = Budget()


@dataclass(frozen=True)
class Opened:
    """As much of a site as there is.

    Attributes:
        folder: of the site.
        settings: None where they cannot be read.
        site: with its keys; None where they cannot be used.
        federation: None where none was given, or it cannot be read.
        findings: about all these.
    """

    folder: Path
    settings: SiteSettings | None
    site: SiteFolder | None
    federation: Federation | None
    findings: list[Finding]


def check_site(
    folder: Path,
    file: Path | None,
    watch: Watch,
    *,
    now: datetime | None = None,
    budget: Budget = DEFAULT_BUDGET,
) -> list[Finding]:
    """Look at everything that a site needs to take part in a federation.

    Args:
        folder: of the site.
        file: the federation file; without one, no peer is looked at.
        watch: told how it goes.
        now: the time (UTC); by default the clock's.
        budget: how long it may take.
    """
    now = now or datetime.now(UTC)
    available = available_bytes()  # before data are read
    opening = ask([partial(_open, folder, file, now)], budget.opening_s)
    if not opening.given:
        return _unanswered("settings", opening, 0, budget.opening_s)
    opened = opening.given[0]
    checks = _checks(opened, available, now, budget, watch)
    asked = ask(list(checks.values()), budget.checking_s)
    findings = list(opened.findings)
    for number, name in enumerate(checks):
        findings += asked.given.get(number) or _unanswered(name, asked, number, budget.checking_s)
    return findings


def _unanswered(check: str, asked: Answers[Answer], number: int, seconds: float) -> list[Finding]:
    """What is said of a check that has not answered; nothing of one that had nothing to say."""
    if number in asked.late:
        remedy = "look at what it asks: a network disk, a driver, a name server"
        return [fault(check, ResourceError, f"did not answer for {seconds:.0f} s", remedy)]
    if number in asked.broken:
        return [fault(check, GossamerError, "failed by itself", "please report it, with what it said above")]
    return []


def _open(folder: Path, file: Path | None, now: datetime) -> Opened:
    settings, findings = check_settings(folder)
    site, federation = None, None
    if settings is not None:
        site, of_keys = check_keys(folder, now)
        findings += of_keys
    if file is not None:
        federation, of_file = check_federation(file)
        findings += of_file
    if site is not None and federation is not None:
        findings += check_membership(site, federation, now)
    return Opened(folder, settings, site, federation, findings)


def _checks(opened: Opened, available: int | None, now: datetime, budget: Budget, watch: Watch) -> dict[str, Check]:
    """All that is asked at once, by name, in the order in which it is told."""
    checks: dict[str, Check] = {}
    if opened.settings is not None:
        checks["writing"] = partial(check_writing, opened.folder)
    checks["needs"] = partial(_against_needs, opened, available)
    checks["shared memory"] = check_shared_memory
    if opened.settings is not None:
        data = opened.folder / opened.settings.data
        structures: Sequence[str] = opened.federation.settings.structures if opened.federation else ()
        checks["data"] = partial(check_data, data, structures, budget.reading_s, watch)
    if opened.site is not None:
        checks["port"] = partial(check_listening, opened.site)
        if opened.federation is not None:
            for member in opened.federation.settings.sites:
                if member.site_id != opened.site.identity.site_id:
                    checks[f"peer {member.name}"] = partial(check_peer, member, opened.site, opened.federation, now)
    return checks


def _against_needs(opened: Opened, available: int | None) -> list[Finding]:
    """Disk, memory and GPU against what a run needs."""
    needs, findings = _needs(opened)
    room = check_room(opened.folder, needs) if opened.settings is not None else []
    return [*findings, *room, *check_memory(available, needs), *check_gpu(needs)]


def _needs(opened: Opened) -> tuple[Needs | None, list[Finding]]:
    if opened.settings is None:
        return None, []
    agreed = opened.federation.settings if opened.federation else None
    try:
        dataset = Dataset.open(opened.folder / opened.settings.data)
        needs = expected_needs(
            dataset,
            agreed.structures if agreed else dataset.structures,
            agreed.plan if agreed else DEFAULT_RULES,
            agreed.recipe if agreed else Recipe(),
            peers=len(agreed.sites) - 1 if agreed else 1,
        )
    except DataError:
        return None, []  # told where the data are looked at
    except GossamerError as error:
        return None, [fault_of("plan", error)]
    return needs, []
