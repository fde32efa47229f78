"""Who may rehearse, and with whom: one thing at a time at a site, and the same federation file at all."""

import asyncio
from contextlib import suppress

import pytest

from gossamer.errors import ConfigurationError, FolderBusyError, ListenError
from gossamer.only_writer import only_writer
from gossamer.runtime.site_run import SiteRun
from gossamer.watch import Unwatched


def test_a_site_that_runs_does_not_rehearse(federation_with_data):
    federation = federation_with_data.found()

    async def run():
        running = asyncio.create_task(SiteRun(federation.site("A"), federation.read(), Unwatched()).run())
        await asyncio.sleep(0.5)
        with pytest.raises(FolderBusyError, match=r"found this site at work.* end that first"):
            await federation.rehearsal("A").run()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(run())


def test_a_site_that_rehearses_does_not_begin_its_run_nor_another_rehearsal(federation):
    federation.found()
    run_folder = federation.site("A").run_folder(federation.read())
    run_folder.mkdir(parents=True)
    with only_writer(run_folder), pytest.raises(FolderBusyError, match="another rehearsal"):
        federation.reports("A")


async def listens(address):
    """Until somebody does there."""
    host, _, port = address.rpartition(":")
    async with asyncio.timeout(60):
        while True:
            with suppress(OSError):
                _, writer = await asyncio.open_connection(host, int(port))
                writer.close()
                return
            await asyncio.sleep(0.02)


def test_a_peer_at_its_real_run_is_told_from_one_that_is_away(federation_with_data):
    federation = federation_with_data.found({"A": None})

    async def run():
        running = asyncio.create_task(SiteRun(federation.site("B"), federation.read(), Unwatched()).run())
        await listens(federation.listens["B"])
        try:
            return await federation.all_rehearse("AC", wait_s=2.0)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    report, _ = asyncio.run(run())
    [fault] = report.faults
    assert (fault.peer, fault.code) == ("B", "GOS-518")
    assert "site run" in fault.found
    assert report.exit_status == 7


def test_a_peer_with_another_federation_file_is_named(federation):
    federation.found({"A": None})

    async def run():
        own = federation.rehearsal("A", wait_s=2.0)
        federation.file.write_text(federation.file.read_text().replace("rounds = 10", "rounds = 11"))
        federation.approve("B")
        other = asyncio.create_task(federation.rehearsal("B").run())
        await listens(federation.listens["B"])
        try:
            return await own.run()
        finally:
            other.cancel()
            await asyncio.gather(other, return_exceptions=True)

    report = asyncio.run(run())
    assert {fault.peer: fault.code for fault in report.faults} == {"B": "GOS-518", "C": "GOS-511"}
    assert "approve" in report.faults[0].remedy


def test_a_file_that_was_not_approved_is_not_rehearsed(federation):
    federation.found()
    federation.file.write_text(federation.file.read_text().replace("rounds = 10", "rounds = 11"))
    with pytest.raises(ConfigurationError, match="approv"):
        federation.rehearsal("A")


def test_an_address_that_cannot_be_listened_on_is_told(federation):
    federation.listens["A"] = "192.0.2.1:7443"
    with pytest.raises(ListenError, match=r"192\.0\.2\.1"):
        federation.found().reports("A")
