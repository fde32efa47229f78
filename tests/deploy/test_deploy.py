"""How hospital IT installs a site: units, images, and the two pages that quote them. No image is built here."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
from datetime import timedelta
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml
from click.exceptions import UsageError as ClickUsageError
from packaging.specifiers import SpecifierSet
from tests.deploy.units import DEPLOY, unit, verdict_of_systemd
from typer.main import get_command

from gossamer import errors
from gossamer.cli.main import app

REPOSITORY = DEPLOY.parent
INSTALL = REPOSITORY / "docs/how-to/install-at-a-hospital.md"
CONTAINER = REPOSITORY / "docs/how-to/run-in-a-container.md"

DONE_WITH_LOSSES = 7
UNITS = ("gossamer-site.service", "gossamer-renew.service", "gossamer-renew.timer")
SERVICES = tuple(name for name in UNITS if name.endswith(".service"))
NOBODY = 54321
"""A user id that stands in no /etc/passwd, as a container may be given."""


def joined_lines(text):
    """The lines of a shell or Dockerfile, those that go on over a backslash in one."""
    return re.sub(r"\\\n\s*", " ", text).splitlines()


# systemd units


@pytest.fixture(scope="module")
def site():
    return unit("gossamer-site.service")["Service"]


def test_systemd_finds_nothing_to_say_about_the_units(tmp_path):
    assert verdict_of_systemd(UNITS, tmp_path) == (0, [])


def test_what_a_restart_cannot_mend_is_not_restarted_and_stays_visible(site):
    no_restart = {int(status) for status in site["RestartPreventExitStatus"].split()}
    not_mended = {kind.exit_status for kind in (errors.UsageError, errors.DataError, errors.ConfigurationError)}
    assert no_restart == not_mended | {DONE_WITH_LOSSES}
    assert not no_restart & {int(status) for status in site["SuccessExitStatus"].split()}, (
        "then the unit would look fine"
    )


def test_what_a_restart_may_mend_is_restarted_without_end(site):
    assert site["Restart"] == "on-failure"
    assert unit("gossamer-site.service")["Unit"]["StartLimitIntervalSec"] == "0"
    mended = {errors.PeerError.exit_status, errors.ResourceError.exit_status, 1}
    assert not mended & {int(status) for status in site["RestartPreventExitStatus"].split()}


def test_the_site_gets_the_signal_alone_and_time_for_its_journal(site):
    assert site["KillMode"] == "mixed"
    assert site["TimeoutStopSec"] == "5min"
    assert site.get("KillSignal", "SIGTERM") == "SIGTERM"


def test_a_data_worker_that_is_killed_for_memory_does_not_end_the_site(site):
    assert site["OOMPolicy"] == "continue"


@pytest.mark.parametrize("name", SERVICES)
def test_a_unit_closes_what_a_users_manager_can_close(name):
    service = unit(name)["Service"]
    assert (service["UMask"], service["LimitCORE"], service["SystemCallArchitectures"]) == ("0077", "0", "native")
    for option in ("NoNewPrivileges", "LockPersonality", "RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID"):
        assert service[option] == "yes", option
    assert service["SystemCallFilter"] == "@system-service"
    assert "AF_PACKET" not in service["RestrictAddressFamilies"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_unit_promises_nothing_that_a_users_manager_ignores(name):
    """Or cannot do without user namespaces (systemd.exec(5)); the page says how a system unit adds them."""
    needs_the_system = re.compile(
        r"Protect|Private|ReadOnly|ReadWrite|Inaccessible|Bind|Temporary|Capability|IPAddress|User$"
    )
    assert not [option for option in unit(name)["Service"] if needs_the_system.match(option)]
    assert "network-online.target" not in " ".join(unit(name)["Unit"].values()), "a user's manager has none"


def test_a_certificate_is_renewed_three_times_before_it_ends():
    from gossamer.transport.identity import TLS_LASTS

    timer = unit("gossamer-renew.timer")
    assert dict(timer["Timer"]) == {"OnCalendar": "monthly", "Persistent": "true"}
    assert timer["Install"]["WantedBy"] == "timers.target"
    assert 2 * timedelta(days=31) < TLS_LASTS


def test_the_page_copies_the_units_that_there_are():
    page = INSTALL.read_text(encoding="utf-8")
    copied = {word for line in page.splitlines() if "$ cp " in line for word in line.split() if "deploy/" in word}
    found = {path.name for pattern in copied for path in REPOSITORY.glob(pattern.removeprefix("source/"))}
    assert found == set(UNITS)


# Dockerfile and .dockerignore


def instructions(text):
    """Keyword and value of each instruction."""
    lines = joined_lines("\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#")))
    return [(line.split(None, 1)[0].upper(), line.split(None, 1)[1]) for line in lines if line.strip()]


def values(keyword):
    return [value for each, value in DOCKERFILE if each == keyword]


def ignored(path):
    """Whether a build leaves a path of the repository out: the last pattern that fits it or a folder above decides."""
    out = False
    for line in (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.strip().removeprefix("!")
        if not pattern or pattern.startswith("#"):
            continue
        places = [path, *(parent.as_posix() for parent in Path(path).parents if parent.name)]
        if any(fits(place, pattern) for place in places):
            out = not line.startswith("!")
    return out


def fits(place, pattern):
    if pattern.startswith("**/"):
        return fits(Path(place).name, pattern[3:])
    return place.count("/") == pattern.count("/") and fnmatch(place, pattern)


DOCKERFILE = instructions((DEPLOY / "Dockerfile").read_text(encoding="utf-8"))
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_base_is_pinned_and_one_for_both_kinds_of_image():
    bases = {value.split()[0] for value in values("FROM")}
    definition = (DEPLOY / "gossamer.def").read_text(encoding="utf-8")
    bases |= set(re.findall(r"^From: (\S+)$", definition, re.MULTILINE))
    [base] = bases
    version = re.fullmatch(r"python:(\d+\.\d+\.\d+)-slim-[a-z]+", base)
    assert version
    assert SpecifierSet(PROJECT["requires-python"]).contains(version[1])


def test_the_image_runs_as_a_numeric_user_that_is_not_root():
    assert [int(number) > 0 for number in values("USER")[-1].split(":")] == [True, True]


def test_gossamer_is_process_1_and_gets_sigterm():
    assert json.loads(values("ENTRYPOINT")[0]) == ["gossamer"]
    assert json.loads(values("CMD")[0])[:2] == ["site", "run"]
    assert values("STOPSIGNAL") == ["SIGTERM"]


def test_the_health_check_asks_the_site_s_own_status():
    [check] = values("HEALTHCHECK")
    assert json.loads(check.partition("CMD ")[2])[:3] == ["gossamer", "site", "status"]


def test_nothing_comes_from_an_address_or_leaves_a_secret_in_a_layer():
    assert not values("ADD")
    assert "://" not in "".join(value for _, value in DOCKERFILE)
    secret = re.compile(r"password|passwd|secret|token|credential|api_?key", re.IGNORECASE)
    assert not [value for keyword, value in DOCKERFILE if keyword in {"ARG", "ENV", "COPY"} and secret.search(value)]


def copied():
    """Sources of the COPYs out of the repository, and of the Apptainer recipe's files."""
    words = [value.split()[:-1] for value in values("COPY") if not value.startswith("--from")]
    yield from (source for sources in words for source in sources)
    definition = (DEPLOY / "gossamer.def").read_text(encoding="utf-8")
    section = definition.partition("%files\n")[2].partition("\n\n")[0]
    yield from (line.split()[0] for line in section.splitlines())


@pytest.mark.parametrize("source", sorted(set(copied())))
def test_what_an_image_copies_is_there_and_reaches_the_builder(source):
    assert (REPOSITORY / source).exists()
    assert not ignored(source)
    assert source not in {".", "./", "*"}


def test_what_builds_the_package_is_copied():
    needed = {"pyproject.toml", "src", PROJECT["readme"], *PROJECT["license-files"], "requirements.lock"}
    assert set(copied()) == needed
    assert not ignored("src/gossamer/cli/main.py")


@pytest.mark.parametrize(
    "path",
    ["identity.key", "gossamer-site/identity.key", "site/tls.pem", "data/north/a.nii.gz", ".git/config", ".env",
     "deploy/.env", "runs/x/results.json", "src/gossamer/cli/__pycache__/main.cpython-313.pyc"],
)  # fmt: skip
def test_a_site_that_lies_in_the_checkout_does_not_reach_the_builder(path):
    assert ignored(path)


def test_the_gigabytes_stand_in_a_layer_before_the_package():
    runs = [(place, value) for place, (keyword, value) in enumerate(DOCKERFILE) if keyword == "RUN"]
    dependencies = next(place for place, value in runs if "--requirement runtime.txt" in value)
    package = next(place for place, value in runs if "dist/*.whl" in value and "--no-index" in value)
    stage = max(place for place, (keyword, _) in enumerate(DOCKERFILE) if keyword == "FROM")
    before = [value for keyword, value in DOCKERFILE[stage:dependencies] if keyword == "COPY"]
    assert stage < dependencies < package
    assert before == ["requirements.lock ./", "--from=wheel /build/runtime.txt ./"]


def test_the_image_gets_what_the_project_names_in_the_versions_of_the_lock():
    command = shlex.split(next(value for value in values("RUN") if "tomllib" in value))
    assert command[:2] == ["python", "-c"]
    done = subprocess.run(
        [sys.executable, "-c", command[2]], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == PROJECT["dependencies"]
    assert any("--constraint requirements.lock" in value for value in values("RUN"))
    lock = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8").splitlines()
    assert len([line for line in lock if line.startswith("torch==")]) == 1, "the Dockerfile greps for it"


def test_hadolint_has_nothing_to_say():
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    hadolint = shutil.which("hadolint", path=path)
    if hadolint is None:
        pytest.skip("hadolint is not installed")
    done = subprocess.run([hadolint, DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False, timeout=240)
    assert (done.returncode, done.stdout) == (0, "")


def test_libraries_import_under_a_user_id_without_a_name_in_the_image_s_environment():
    """MONAI asks for the user's name when it is imported."""
    environment = dict(pair.split("=", 1) for value in values("ENV") for pair in value.split())
    assert environment["HOME"] == "/tmp"
    code = f"import os; os.getuid = lambda: {NOBODY}\nimport gossamer.nets"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr


# compose.yaml


@pytest.fixture(scope="module")
def service():
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    document = yaml.safe_load(text)
    assert list(document) == ["services"]
    assert list(document["services"]) == ["gossamer"]
    return document["services"]["gossamer"]


def test_the_container_has_no_privilege_and_writes_nowhere_but_in_its_folder(service):
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"].startswith("${GOSSAMER_USER:?"), "whoever forgets it shall not run as the image's user"
    assert [entry.partition(":")[0] for entry in service["tmpfs"]] == ["/tmp"]
    forbidden = {"privileged", "cap_add", "devices", "network_mode", "pid", "ipc", "environment", "env_file", "secrets"}
    assert not forbidden & set(service)
    writable = {volume["target"]: not volume.get("read_only", False) for volume in service["volumes"]}
    assert writable == {"/site": True, "/data": False}


def test_a_folder_that_is_misspelt_is_not_made(service):
    assert [volume["bind"]["create_host_path"] for volume in service["volumes"]] == [False, False]


def test_the_port_of_the_lines_is_the_only_one(service):
    assert [port.rpartition(":")[2] for port in service["ports"]] == values("EXPOSE")
    assert "7480" not in str(service), "the status is for this machine alone"


def test_shared_memory_is_what_check_asks_for(service):
    """Docker's 64 MB kill the usual data workers without a word."""
    assert service["shm_size"] == "1gb"


def test_restarts_end_and_a_stop_waits_for_the_journal(service):
    assert service["restart"] == "on-failure:5", "compose cannot leave out exit statuses, so there must be an end"
    assert service["stop_grace_period"] == "5m"


def test_no_core_file_no_endless_log_no_flood_of_processes(service):
    assert service["ulimits"]["core"] == 0
    assert service["logging"]["driver"] == "local"
    assert service["pids_limit"] > 0


def test_compose_builds_the_image_of_this_repository(service):
    context = (DEPLOY / service["build"]["context"]).resolve()
    assert context == REPOSITORY
    assert (context / service["build"]["dockerfile"]).is_file()
    assert service["command"] == json.loads(values("CMD")[0])


def test_the_gpu_s_lines_fit_where_they_stand():
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    head, _, tail = text.partition("    # deploy:\n")
    opened = (
        head + "    deploy:\n" + "".join(line.replace("    # ", "    ", 1) for line in tail.splitlines(keepends=True))
    )
    [device] = yaml.safe_load(opened)["services"]["gossamer"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}


# Commands and facts that the pages and recipes quote


def gossamer_words(line):
    """What follows ``gossamer`` in a shell's line; None where the line starts something else."""
    words = shlex.split(line, comments=True)
    if words[:1] == ["gossamer"]:
        return words[1:]
    if words[:2] == ["docker", "compose"] and words[2] in {"run", "exec"}:
        return words[len(words) - words[::-1].index("gossamer") :]
    if words[:2] == ["apptainer", "run"]:
        return words[words.index("gossamer.sif") + 1 :]
    return None


def whole_commands():
    """Each as (where, words): those that somebody types, or that a recipe starts."""
    for name in SERVICES:
        yield name, shlex.split(unit(name)["Service"]["ExecStart"])[1:]
    yield "Dockerfile", json.loads(values("CMD")[0])
    yield "Dockerfile", json.loads(values("HEALTHCHECK")[0].partition("CMD ")[2])[1:]
    for page in (INSTALL, CONTAINER):
        for block in re.findall(r"```console\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            for line in joined_lines(block):
                if (words := gossamer_words(line.strip().removeprefix("$ "))) is not None:
                    yield page.name, words


def mentioned_commands():
    """Those that stand in a sentence, mostly without their options."""
    for page in (INSTALL, CONTAINER):
        for text in re.findall(r"`gossamer ([^`]+)`", page.read_text(encoding="utf-8")):
            yield page.name, shlex.split(text)


def found_command(words):
    """The command of the program that ``words`` name, and its arguments."""
    command, rest = get_command(app), list(words)
    while rest and not rest[0].startswith("-") and hasattr(command, "commands"):
        command = command.commands.get(rest[0])
        if command is None:
            pytest.fail(f"there is no command: gossamer {' '.join(words)}")
        del rest[0]
    return command, rest


def distinct(commands):
    return [pytest.param(words, id=f"{where}: {' '.join(words)}") for where, words in dict.fromkeys(
        (where, tuple(words)) for where, words in commands
    )]  # fmt: skip


def test_the_quoted_commands_are_found():
    typed = {" ".join(words[:2]) for _, words in whole_commands()}
    assert {"site init", "site run", "site renew", "federation approve"} <= typed
    assert [words for _, words in mentioned_commands()]


@pytest.mark.parametrize("words", distinct(whole_commands()))
def test_a_quoted_command_is_one_that_the_program_takes(words):
    command, rest = found_command(list(words))
    if rest == ["--version"]:
        return
    try:
        command.make_context("gossamer", rest)
    except ClickUsageError as error:
        pytest.fail(f"gossamer {' '.join(words)}: {error.format_message()}")


@pytest.mark.parametrize("words", distinct(mentioned_commands()))
def test_a_mentioned_command_has_the_options_that_are_said(words):
    command, rest = found_command(list(words))
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in rest if word.startswith("--")} <= known


def test_the_page_names_the_settings_and_the_address_that_a_site_has():
    from gossamer.runtime.site_folder import SiteSettings

    page = INSTALL.read_text(encoding="utf-8")
    fields = SiteSettings.model_fields
    assert {"smallest_count", "share_scores"} <= fields.keys()
    assert all(f"`{name} = " in page for name in ("smallest_count", "share_scores"))
    assert f"| {fields['status'].default} |" in page


# A site made by a user without privileges

AS_NOBODY = f"""
import os, sys
from gossamer.cli import main, site
import gossamer.documents, gossamer.runtime.site_folder  # now: Python may lie where only root can read
os.setgroups([])
os.setresgid({NOBODY}, {NOBODY}, {NOBODY})
os.setresuid({NOBODY}, {NOBODY}, {NOBODY})
os.umask(0o022)
for line in sys.stdin:
    main.app(line.split(), standalone_mode=False)
"""


def test_a_user_without_privileges_home_or_name_makes_a_site_that_is_closed_to_others():
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        os.chown(work, NOBODY, NOBODY)
        done = subprocess.run(
            [sys.executable, "-c", AS_NOBODY],
            input="site init --name north --data .\nsite renew\nsite id\n",
            cwd=work, env={}, capture_output=True, text=True, check=False, timeout=240,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        made, again = done.stdout.splitlines()
        assert made == again
        folder = work / "gossamer-site"
        modes = {path.name: path.stat().st_mode & 0o777 for path in (folder, *folder.iterdir())}
        assert (modes["gossamer-site"], modes["identity.key"], modes["tls.pem"]) == (0o700, 0o600, 0o600)
        assert {path.stat().st_uid for path in folder.iterdir()} == {NOBODY}
