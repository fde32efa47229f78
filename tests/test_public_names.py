"""What ``import gossamer`` promises: names that resolve, that type checkers see too, and that cost nothing unasked."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import gossamer

STUB = ast.parse((Path(gossamer.__file__).parent / "__init__.pyi").read_text(encoding="utf-8"))
HEAVY = {"torch", "monai", "numpy", "scipy", "pydantic", "nibabel"}


def names_imported_by_the_stub():
    imports = [node for node in STUB.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: node.module for node in imports for alias in node.names}


def loaded_after(code):
    """The heavy packages that a fresh Python has loaded when ``code`` has run."""
    program = f"import sys\n{code}\nprint(*sorted({HEAVY!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return done.stdout.split()


@pytest.mark.parametrize("name", gossamer.__all__)
def test_each_public_name_is_what_its_own_module_calls_by_it(name):
    value = getattr(gossamer, name)
    if name != "__version__":
        assert value is getattr(import_module(names_imported_by_the_stub()[name]), name)


def test_public_names_are_those_of_the_stub():
    [listed] = [
        ast.literal_eval(node.value)
        for node in STUB.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    assert sorted(gossamer.__all__) == sorted(listed) == sorted({*names_imported_by_the_stub(), "__version__"})


def test_dir_shows_public_names_before_they_are_loaded():
    assert set(gossamer.__all__) <= set(dir(gossamer))


def test_unknown_name_is_an_attribute_error_that_names_it():
    with pytest.raises(AttributeError, match="'gossamer' has no attribute 'run_everything'"):
        gossamer.run_everything  # noqa: B018


def test_import_loads_nothing_heavy():
    assert loaded_after("import gossamer; gossamer.__all__") == []


def test_command_line_loads_nothing_heavy_before_a_command_runs():
    assert loaded_after("import gossamer.cli.main") == []


def test_a_name_loads_no_more_than_it_needs():
    assert loaded_after("from gossamer import GossamerError, tolerance_mm") == []
