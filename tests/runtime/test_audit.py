"""A log that shows it when somebody, or a power cut, changed it."""

import errno
import json
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossamer.errors import DiskFullError, FolderBusyError, IdentityError, StorageError, UsageError
from gossamer.only_writer import only_writer
from gossamer.runtime import audit
from gossamer.runtime.audit import AuditLog, records_of, verify_audit
from gossamer.runtime.audit_chain import LOG, MOST_LINE_BYTES, Chain, Head, Record
from gossamer.runtime.audit_entries import (
    KINDS,
    MOST_LETTERS,
    Approved,
    Checkpoint,
    Clipped,
    Finished,
    Joined,
    Refused,
    Rehearsed,
    Renewed,
    ShareReceived,
    ShareSent,
    Started,
    Torn,
    printable,
)
from gossamer.transport.identity import new_identity, site_id_of, write_identity

PAGE = (Path(__file__).parents[2] / "docs" / "concepts" / "audit.md").read_text(encoding="utf-8")

HASH = "5e" * 32
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

ENTRIES = (
    Started(federation=HASH, release="0.1.0"),
    Approved(federation=HASH, title="Oesophagus über alles"),
    Joined(peer="unito", federation=HASH),
    ShareSent(peer="unito", exchange=0, size_bytes=5_400_000, sha256=HASH),
    ShareReceived(peer="unito", exchange=0, size_bytes=5_400_000, sha256=HASH),
    Refused(peer="unito", code="GOS-502", reason="wanted finite parameters; found nan", times=1),
    Clipped(peer="unito", exchange=1, factor=0.25, where="head.weight"),
    Renewed(ends="2026-06-01"),
    Finished(federation=HASH, model=HASH),
    Rehearsed(federation=HASH, release="0.1.0"),
)


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch):
    """Thousands of records; the test that is about ``fsync`` watches it itself."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.setattr(audit, "WRITING_S", 0.0)


@pytest.fixture(scope="session")
def identity():
    return new_identity("unito")


@pytest.fixture
def site(tmp_path, identity):
    """A site's folder with the identity alone in it."""
    write_identity(identity, tmp_path)
    return tmp_path


@pytest.fixture
def log(site, identity):
    return AuditLog(site, identity, lambda: NOON)


@pytest.fixture(scope="session")
def sound(identity, tmp_path_factory):
    """The bytes of a log with every kind but ``torn``, a checkpoint in it and another at its end."""
    folder = tmp_path_factory.mktemp("sound")
    log = AuditLog(folder, identity, lambda: NOON)
    for entry in ENTRIES[:5]:
        log.note(entry)
    log.sign()
    for entry in ENTRIES[5:]:
        log.note(entry)
    log.sign()
    return (folder / LOG).read_bytes()


@pytest.fixture(scope="session")
def reads(identity, tmp_path_factory):
    """Whether bytes are a sound log: its records, or the error."""
    path = tmp_path_factory.mktemp("read") / LOG

    def read(content):
        path.write_bytes(content)
        chain = Chain(identity.certificate)
        with path.open("rb") as file:
            records = list(chain.read(file))
        if chain.torn:
            raise chain.damage("torn")
        return records

    return read


def line_named(error):
    return int(re.search(r"line (\d+)", str(error.value))[1])


# What stands in it


def test_what_was_noted_is_read_again_in_order(log, site):
    for entry in ENTRIES:
        log.note(entry)
    records = list(records_of(site))
    assert [record.entry for record in records] == list(ENTRIES)
    assert [record.number for record in records] == list(range(len(ENTRIES)))
    assert {record.at for record in records} == {"2026-03-01T12:00:00Z"}
    assert verify_audit(site).head == log.head


def test_every_kind_is_in_these_tests():
    assert {entry.kind for entry in ENTRIES} | {Torn.kind, Checkpoint.kind} == KINDS.keys()


def test_each_line_can_be_checked_with_what_the_page_shows(sound, tmp_path, identity, monkeypatch):
    [script] = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    (tmp_path / LOG).write_bytes(sound)
    monkeypatch.chdir(tmp_path)
    said = {}
    exec(script, said)
    assert said["count"] == sound.count(b"\n")
    (tmp_path / LOG).write_bytes(sound.replace(b"nan", b"inf"))
    with pytest.raises(AssertionError):
        exec(script, {})


def test_first_record_hangs_on_the_site_so_that_no_other_sites_log_takes_its_place(sound, identity):
    assert json.loads(sound.splitlines()[0])["before"] == site_id_of(identity.certificate)
    other = Chain(new_identity("mount-sinai").certificate)
    with pytest.raises(StorageError, match=r"another site's log, in line 1 of"):
        other.add(sound.splitlines(keepends=True)[0])


def test_log_is_for_the_sites_eyes_alone(log, site):
    log.note(ENTRIES[0])
    assert (site / LOG).stat().st_mode & 0o077 == 0


def test_words_of_a_peer_stay_on_one_line_without_escapes_and_short(log, site):
    log.refuse('e\x1b[2J\nvil"}\u202e', "GOS-502", "\r\n{}\x00\ud800" + "🦊" * 1000)
    content = (site / LOG).read_bytes()
    assert content.count(b"\n") == 1
    assert content.isascii()
    assert all(byte >= 32 for byte in content[:-1])
    [record] = records_of(site)
    assert record.entry.peer == 'e\\x1b[2J\\nvil"}\\u202e'
    assert record.entry.reason.startswith("\\r\\n{}\\x00\\ud800🦊")
    assert len(record.entry.reason) == MOST_LETTERS


@given(text=st.text(max_size=3 * MOST_LETTERS))
def test_printable_text_is_bounded_and_stays_as_it_is(text):
    shown = printable(text)
    assert len(shown) <= MOST_LETTERS
    assert shown.isprintable()
    assert printable(shown) == shown
    assert shown == text or not text.isprintable() or len(text) > MOST_LETTERS


@given(peer=st.text(max_size=250), reason=st.text(max_size=250))
def test_longest_texts_fit_into_the_longest_line(peer, reason):
    worst = "🦊" * 1000
    for words in (peer, reason, worst):
        entry = Refused(peer=words, code=words, reason=words, times=2**60)
        assert len(Record(2**60, "2026-03-01T12:00:00Z", entry, HASH).line) < MOST_LINE_BYTES


@pytest.mark.parametrize("wrong", [{"federation": "5E" * 32}, {"release": 1}, {"patient": "P-1"}, {}])
def test_a_kind_takes_its_own_fields_only(wrong):
    with pytest.raises(ValueError, match="validation error"):
        Started(**({"federation": HASH, "release": "1"} | wrong if wrong else {}))


def test_of_refusals_alike_each_doubling_is_noted(log, site):
    for _ in range(1000):
        log.refuse("unito", "GOS-502", "norm")
    assert [record.entry.times for record in records_of(site)] == [2**power for power in range(10)]


def test_strangers_with_new_names_cannot_fill_the_disk(log, site):
    for number in range(2000):
        log.refuse(f"stranger {number}", "GOS-504", "no key of the roster")
    records = list(records_of(site))
    assert sum(isinstance(record.entry, Refused) for record in records) == audit.MOST_REFUSALS + 11


def test_bytes_of_a_round_are_what_the_page_says(log, site):
    """Four sites in pairs: two shares out, two in; a checkpoint at every hundredth record."""
    for exchange in range(100):
        log.note(ENTRIES[3].model_copy(update={"exchange": exchange}))
        log.note(ENTRIES[4].model_copy(update={"exchange": exchange}))
    a_round = (site / LOG).stat().st_size / 50
    [said] = re.findall(r"about ([\d,]+) bytes a round", PAGE)
    assert a_round == pytest.approx(int(said.replace(",", "")), rel=0.05)


# Changes


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_single_byte_that_changed_is_found_in_its_line(data, sound, reads):
    at = data.draw(st.integers(0, len(sound) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != sound[at]))
    with pytest.raises(StorageError, match="wanted record") as error:
        reads(sound[:at] + bytes([byte]) + sound[at + 1 :])
    assert line_named(error) == sound[:at].count(b"\n") + 1


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_lines_removed_repeated_or_moved_are_found(data, sound, reads):
    lines = sound.splitlines(keepends=True)
    at = data.draw(st.integers(0, len(lines) - 2))
    other = data.draw(st.integers(at + 1, len(lines) - 1))
    match data.draw(st.sampled_from(["removed", "repeated", "swapped", "moved"])):
        case "removed":
            changed = lines[:at] + lines[at + 1 :]
        case "repeated":
            changed = [*lines[:other], lines[at], *lines[other:]]
            at = other
        case "swapped":
            changed = list(lines)
            changed[at], changed[other] = lines[other], lines[at]
        case _:
            changed = lines[:at] + lines[at + 1 : other + 1] + [lines[at]] + lines[other + 1 :]
    with pytest.raises(StorageError) as error:
        reads(b"".join(changed))
    assert line_named(error) == at + 1


def forged(sound, identity, *, past):
    """The log with one record's reason changed and the chain computed anew, by somebody without the site's key."""
    records, head = [], Head(0, site_id_of(identity.certificate))
    for line in sound.splitlines():
        raw = json.loads(line)
        entry = KINDS[raw["kind"]](**raw["fields"])
        if isinstance(entry, Joined if past else Finished):
            entry = entry.model_copy(update={"federation": "00" * 32})
        record = Record(raw["number"], raw["at"], entry, head.sha256)
        head = Head(record.number + 1, record.sha256)
        records.append(record.line)
    return records


def test_a_past_rewritten_without_the_key_is_found_at_the_next_checkpoint(sound, identity, reads):
    lines = forged(sound, identity, past=True)
    with pytest.raises(StorageError, match="checkpoint that this site's identity did not sign") as error:
        reads(b"".join(lines))
    assert line_named(error) == 6


def test_what_the_chain_alone_cannot_find(sound, identity, reads):
    """As the page says: an end that was cut off, or rewritten behind the last checkpoint."""
    assert len(reads(b"".join(sound.splitlines(keepends=True)[:8]))) == 8
    rewritten = forged(sound, identity, past=False)
    assert len(reads(b"".join(rewritten[:-1]))) == len(rewritten) - 1


def test_a_head_held_elsewhere_finds_an_end_cut_off_or_rewritten(log, site):
    for entry in ENTRIES[:4]:
        log.note(entry)
    held = log.sign()
    log.note(ENTRIES[5])
    assert verify_audit(site, Head.parse(f" {held}\n")).head.count == 6
    content = (site / LOG).read_bytes()
    (site / LOG).write_bytes(b"".join(content.splitlines(keepends=True)[:3]))
    with pytest.raises(StorageError, match=r"5 records were counted: the end was cut off, in line 4"):
        verify_audit(site, held)
    assert verify_audit(site).head.count == 3
    with pytest.raises(StorageError, match="lines that this process wrote or read were cut off"):
        log.note(ENTRIES[0])
    anew = AuditLog(site, log._identity, lambda: NOON)
    for entry in ENTRIES[6:9]:
        anew.note(entry)
    with pytest.raises(StorageError, match="was rewritten since"):
        verify_audit(site, held)


@pytest.mark.parametrize("text", ["", "12", "x:" + HASH, f"3:{HASH}0", f"-3:{HASH}", f"²:{HASH}"])
def test_what_is_no_head_is_refused(text):
    with pytest.raises(UsageError, match="wanted a head"):
        Head.parse(text)


def test_the_head_is_signed_at_every_hundredth_record_and_when_asked(log, site):
    for _ in range(250):
        log.note(ENTRIES[3])
    signed = [record.number for record in records_of(site) if isinstance(record.entry, Checkpoint)]
    assert signed == [100, 200]
    assert log.sign() == log.sign()
    verdict = verify_audit(site)
    assert verdict.signed == verdict.head.count - 1 == 252


def test_an_empty_log_needs_no_signature(log, site):
    assert log.sign() == Head(0, site_id_of(log._identity.certificate))
    assert not (site / LOG).exists()


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"[]\n",
        b"{}\n",
        b'{"kind":[]}\n',
        b"[" * 16_000 + b"\n",
        b"\xff\xfe\n",
        b"\x00" * 500 + b"\n",
        b'{"number":0,"at":1,"kind":"renewed","fields":{"ends":"x"},"before":"","sha256":""}\n',
        b"9" * 20_000,
    ],
    ids=repr,
)
def test_what_is_no_record_is_refused_whatever_it_is(line, sound, reads):
    first, *others = sound.splitlines(keepends=True)
    with pytest.raises(StorageError) as error:
        reads(first + line + b"".join(others))
    assert line_named(error) == 2


def test_a_checkpoint_whose_signature_is_garbage_is_refused(identity, reads):
    start = site_id_of(identity.certificate)
    for signature in ("00" * 8, "ff" * 80, "30" * 72):
        record = Record(0, "2026-03-01T12:00:00Z", Checkpoint(signature=signature), start)
        with pytest.raises(StorageError, match="did not sign"):
            reads(record.line)


# Power cuts, full disks, other hands


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_power_cut_at_any_byte_of_an_append_leaves_a_log_that_opens_and_verifies(
    data, sound, identity, tmp_path_factory
):
    folder = tmp_path_factory.mktemp("cut")
    (folder / "identity.pem").write_text(identity.pem)
    lines = sound.splitlines(keepends=True)
    count = data.draw(st.integers(0, len(lines) - 1))
    whole, line = b"".join(lines[:count]), lines[count]
    torn = line[: data.draw(st.integers(1, len(line) - 1))] + b"\0" * data.draw(st.integers(0, 20))
    (folder / LOG).write_bytes(whole + torn)
    with pytest.raises(StorageError, match="a power cut tore it") as error:  # the control: not opened, not sound
        verify_audit(folder)
    assert line_named(error) == count + 1
    log = AuditLog(folder, identity, lambda: NOON)
    log.note(ENTRIES[0])
    *before, note, after = records_of(folder)
    assert b"".join(record.line for record in before) == whole
    assert (note.entry.kind, note.entry.size_bytes, after.entry) == ("torn", len(torn), ENTRIES[0])
    assert (folder / note.entry.file).read_bytes() == torn
    assert verify_audit(folder).head == log.head


def test_without_setting_aside_the_next_record_would_be_lost_in_the_torn_line(sound, reads):
    """The control: what an append to a torn file makes of it."""
    lines = sound.splitlines(keepends=True)
    with pytest.raises(StorageError, match="bytes that are no record, in line 3"):
        reads(b"".join(lines[:2]) + lines[2][:40] + b"".join(lines[2:]))


def test_a_power_cut_while_a_torn_line_is_set_aside_loses_nothing(site, identity, sound, monkeypatch):
    torn = sound[:-30]
    (site / LOG).write_bytes(torn)
    real = audit.write_atomically

    def cut(path, *rest, **more):
        if path.name == LOG:
            raise KeyboardInterrupt  # the torn bytes lie beside the log, which is as before
        real(path, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(audit, "write_atomically", cut)
        with pytest.raises(KeyboardInterrupt):
            AuditLog(site, identity, lambda: NOON)
    assert (site / LOG).read_bytes() == torn
    AuditLog(site, identity, lambda: NOON)
    *_, last = records_of(site)
    assert isinstance(last.entry, Torn)
    assert (site / last.entry.file).read_bytes() == torn[torn.rindex(b"\n") + 1 :]


def test_an_empty_file_is_a_log_that_begins(site, identity):
    (site / LOG).touch()
    AuditLog(site, identity, lambda: NOON).note(ENTRIES[0])
    assert verify_audit(site).head.count == 1


def test_each_record_is_on_the_disk_before_the_call_returns(log, site, monkeypatch):
    done = []
    real = os.fsync

    def fsync(descriptor):
        done.append((str(Path(f"/proc/self/fd/{descriptor}").readlink()), (site / LOG).stat().st_size))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    for entry in ENTRIES[:3]:
        log.note(entry)
        assert (str(site / LOG), (site / LOG).stat().st_size) in done
    assert (str(site), len(next(records_of(site)).line)) in done  # the new file's name, too


@pytest.mark.parametrize("step", ["write", "fsync"])
def test_a_full_disk_is_said_and_leaves_the_log_as_it_was(step, log, site, monkeypatch):
    log.note(ENTRIES[0])
    before, head = (site / LOG).read_bytes(), log.head
    real = getattr(os, step)

    def full(descriptor, *rest):
        if step == "write":
            real(descriptor, rest[0][:40])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, step, full)
        with pytest.raises(DiskFullError, match=r"wanted to write audit\.jsonl; found no room"):
            log.note(ENTRIES[1])
    assert (site / LOG).read_bytes() == before
    assert log.head == head
    log.note(ENTRIES[1])
    assert verify_audit(site).head.count == 2


def test_half_a_line_that_cannot_be_taken_back_is_set_aside_by_the_next_note(log, site, monkeypatch):
    log.note(ENTRIES[0])
    real = os.write

    def failing(*_):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, rest: real(descriptor, rest[:40]) and failing())
        patch.setattr(os, "ftruncate", failing)
        with pytest.raises(StorageError, match="Input/output error"):
            log.note(ENTRIES[1])
    log.note(ENTRIES[1])
    assert [record.entry.kind for record in records_of(site)] == ["started", "torn", "approved"]


def test_two_that_have_the_log_open_write_one_chain(site, identity):
    """A certificate is renewed from the command line while the service runs."""
    logs = [AuditLog(site, identity, lambda: NOON) for _ in range(3)]

    def note(number):
        logs[number % 3].note(ENTRIES[number % len(ENTRIES)])

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(note, range(60)))
    assert verify_audit(site).head.count == 60


def test_a_folder_that_another_process_does_not_let_go_of_is_said(log, site, monkeypatch):
    monkeypatch.setattr(audit, "WAIT_S", 0.05)
    with only_writer(site), pytest.raises(FolderBusyError, match="another process at work"):
        log.note(ENTRIES[0])
    log.note(ENTRIES[0])


def test_a_line_that_is_just_being_written_is_waited_for(site, identity, sound, monkeypatch):
    (site / LOG).write_bytes(sound[:-20])
    monkeypatch.setattr(time, "sleep", lambda _: (site / LOG).write_bytes(sound))
    assert verify_audit(site).head.count == sound.count(b"\n")


def test_a_damaged_log_is_not_written_on(log, site):
    log.note(ENTRIES[0])
    (site / LOG).write_bytes((site / LOG).read_bytes().replace(b"0.1.0", b"0.2.0"))
    with pytest.raises(StorageError, match="was changed: its own SHA-256 is another, in line 1"):
        AuditLog(site, log._identity)
    (site / LOG).unlink()
    with pytest.raises(StorageError, match="found no file any more"):
        log.note(ENTRIES[1])
    AuditLog(site, log._identity).note(ENTRIES[0])  # out of the way, and a new one begins


def test_no_log_no_certificate_no_verdict(site):
    with pytest.raises(UsageError, match=r"found no audit\.jsonl"):
        verify_audit(site)
    (site / "identity.pem").unlink()
    with pytest.raises(IdentityError, match="to check signatures with"):
        verify_audit(site)
