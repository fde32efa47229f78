"""What an installation gets and does: its dependencies, the files in the wheel, and what the code must never do."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib import metadata, resources
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import gossamer

REPOSITORY = Path(__file__).parents[1]
SOURCE = REPOSITORY / "src" / "gossamer"
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
DEPENDENCIES = [Requirement(text) for text in PROJECT["project"]["dependencies"]]
TREES = {
    path.relative_to(SOURCE).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted(SOURCE.rglob("*.py"))
}
DATA_FILES = sorted(
    path.relative_to(SOURCE).as_posix()
    for path in SOURCE.rglob("*")
    if path.is_file() and path.suffix not in {".py", ".pyc"}
)


def imported_packages(tree):
    """Top-level names of all imports of a file, those inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").partition(".")[0]


def places(wanted):
    """Where in the source a node is of the wanted kind: file and line."""
    return [
        f"{file}:{node.lineno}: {ast.unparse(node)[:80]}"
        for file, tree in TREES.items()
        for node in ast.walk(tree)
        if wanted(node)
    ]


def third_party():
    packages = {package for tree in TREES.values() for package in imported_packages(tree)}
    return packages - sys.stdlib_module_names - {"gossamer"}


# Dependencies


def test_the_source_was_found():
    assert {"__init__.py", "cli/main.py", "study/run.py"} <= TREES.keys()


@pytest.mark.parametrize("requirement", DEPENDENCIES, ids=lambda requirement: requirement.name)
def test_a_dependency_has_a_lowest_version_and_no_highest(requirement):
    """So that pip keeps the torch and numpy that are there; a ceiling or a pin would replace them."""
    assert [specifier.operator for specifier in requirement.specifier] == [">="]
    assert requirement.url is None


def test_torch_and_numpy_are_among_them():
    assert {"torch", "numpy"} <= {requirement.name for requirement in DEPENDENCIES}


def test_every_import_is_a_declared_dependency():
    """Otherwise it is there by chance, as long as another package brings it."""
    extras = PROJECT["project"]["optional-dependencies"]
    for_users = [Requirement(text) for name, texts in extras.items() if name not in {"dev", "docs"} for text in texts]
    declared = {canonicalize_name(requirement.name) for requirement in (*DEPENDENCIES, *for_users)}
    providers = packages_distributions()
    undeclared = {
        package
        for package in third_party()
        if not declared & {canonicalize_name(name) for name in providers.get(package, [package])}
    }
    assert undeclared == set()


def test_every_declared_dependency_is_imported():
    provided = {
        canonicalize_name(name) for package in third_party() for name in packages_distributions().get(package, [])
    }
    assert {canonicalize_name(requirement.name) for requirement in DEPENDENCIES} - provided == set()


def test_lock_file_fits_the_ranges():
    lines = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8").splitlines()
    locked = {canonicalize_name(m[1]): m[2] for line in lines if (m := re.match(r"([\w.-]+)==([\w.+]+)", line))}
    everything = [*PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"]["dev"]]
    for requirement in map(Requirement, everything):
        version = locked.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not in requirements.lock"
        assert requirement.specifier.contains(version, prereleases=True), f"{requirement} is locked at {version}"


def test_version_is_said_once():
    assert PROJECT["project"]["version"] == gossamer.__version__ == metadata.version("gossamer")


def test_command_starts_where_the_project_says():
    [entry] = [each for each in metadata.entry_points(group="console_scripts") if each.name == "gossamer"]
    assert entry.value == PROJECT["project"]["scripts"]["gossamer"]
    assert callable(entry.load())


# Files of the wheel


def test_package_has_the_data_that_its_code_reads():
    assert {"py.typed", "__init__.pyi", "study/report/page.html.j2", "study/report/style.css"} <= set(DATA_FILES)
    assert [file for file in DATA_FILES if file.startswith("study/presets/") and file.endswith(".toml")]


@pytest.mark.parametrize("file", DATA_FILES)
def test_data_file_is_found_through_its_package(file):
    folder, _, name = file.rpartition("/")
    package = ".".join(["gossamer", *folder.split("/")]) if folder else "gossamer"
    found = resources.files(package) / name
    assert found.is_file()
    assert found.read_bytes() == (SOURCE / file).read_bytes()


def test_wheel_takes_the_whole_package():
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel == {"packages": ["src/gossamer"]}, "exclude and include would need a test of what is left"
    assert set(PROJECT["tool"]["hatch"]["build"]) == {"targets"}


def test_no_file_of_the_package_is_ignored_by_git():
    """Hatchling leaves out of a wheel what git ignores."""
    paths = [f"src/gossamer/{file}" for file in (*DATA_FILES, *TREES)]
    command = ["git", "check-ignore", "--no-index", "--stdin"]
    try:
        done = subprocess.run(
            command, cwd=REPOSITORY, input="\n".join(paths), check=False, capture_output=True, text=True
        )
    except FileNotFoundError:
        pytest.skip("git is not installed")
    if done.returncode == 128:
        pytest.skip("this is not a git checkout")
    assert done.stdout.splitlines() == []


@pytest.mark.parametrize("file", ["LICENSE", "README.md"])
def test_files_that_the_project_names_exist(file):
    assert file in {PROJECT["project"]["readme"], *PROJECT["project"]["license-files"]}
    assert (REPOSITORY / file).read_text(encoding="utf-8").strip()


# What the code must never do


def test_no_environment_variable_is_read():
    """Settings stand in files, where they can be seen and hashed. Two are set: gRPC and PyTorch have no other way."""
    names = {"environ", "environb", "getenv", "getenvb", "putenv"}
    used = places(
        lambda node: (
            (isinstance(node, ast.Attribute) and node.attr in names)
            or (
                isinstance(node, ast.ImportFrom)
                and node.module == "os"
                and names & {alias.name for alias in node.names}
            )
        )
    )
    settings = {"__init__.py": "THP_MEM_ALLOC_ENABLE", "transport/__init__.py": "GRPC_SSL_CIPHER_SUITES"}
    assert sorted(place.split(":")[0] for place in used) == sorted(settings)
    for file, name in settings.items():
        assert f'os.environ["{name}"] = ' in (SOURCE / file).read_text()


def test_no_file_format_that_can_run_code_is_read_or_written():
    unsafe = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "yaml"}
    assert not unsafe & {package for tree in TREES.values() for package in imported_packages(tree)}
    calls = {("torch", "load"), ("torch", "save"), ("torch.jit", "load"), ("torch.package", "PackageImporter")}
    assert not places(lambda node: isinstance(node, ast.Attribute) and (ast.unparse(node.value), node.attr) in calls)


def test_numpy_is_told_not_to_unpickle():
    """``np.load`` refuses pickles by default; said all the same, so that a reader need not know."""

    def reads_arrays(node):
        return isinstance(node, ast.Call) and ast.unparse(node.func) in {"np.load", "numpy.load"}

    def refuses(node):
        return any(word.arg == "allow_pickle" and ast.unparse(word.value) == "False" for word in node.keywords)

    assert places(reads_arrays), "prepared cases are read with np.load"
    assert not places(lambda node: reads_arrays(node) and not refuses(node))


def test_no_text_is_run_as_code():
    assert not places(
        lambda node: isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"eval", "exec"}
    )
