"""Nothing that comes in may run: no module that turns data into code is imported or called anywhere."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "gossamer"
FORBIDDEN_MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "yaml"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}


def offences(tree):
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (each.name for each in names if each.name.split(".")[0] in FORBIDDEN_MODULES)
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in FORBIDDEN_MODULES:
                yield module
            case ast.Call(func=ast.Name(id=name)) if name in FORBIDDEN_CALLS:
                yield name
            case ast.Call(func=ast.Attribute(value=ast.Name(id="torch"), attr="load" | "save" as name)):
                yield f"torch.{name}"
            case ast.keyword(arg="allow_pickle", value=value) if not (
                isinstance(value, ast.Constant) and value.value is False
            ):
                yield "allow_pickle"


@pytest.mark.parametrize("room", sorted(path.name for path in SOURCE.iterdir() if any(path.glob("*.py"))))
def test_no_room_turns_data_into_code(room):
    files = list((SOURCE / room).rglob("*.py"))
    assert files
    found = {path.name: list(offences(ast.parse(path.read_text(encoding="utf-8")))) for path in files}
    assert not {name: each for name, each in found.items() if each}


@pytest.mark.parametrize(
    "text", ["import pickle", "from dill import loads", "eval('1')", "torch.load(path)", "f(allow_pickle=True)"]
)
def test_what_is_looked_for_is_found(text):
    assert list(offences(ast.parse(text)))
