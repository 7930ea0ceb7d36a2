"""unixipc._native and unixipc._cpython: the stubs say what is compiled, and the C is clean under strict warnings."""

import ast
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from unixipc import _cpython, _native

PACKAGE = Path(_native.__file__).parent
FFI: Any = _native.ffi
OPERATORS = {"__len__", "__getitem__", "__setitem__"}
SHIM = Path(__file__).parent.parent / "src" / "shim"


def _classes(stub: str) -> dict[str, ast.ClassDef]:
    tree = ast.parse((PACKAGE / stub).read_text())
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def _members(node: ast.ClassDef) -> dict[str, ast.stmt]:
    members: dict[str, ast.stmt] = {}
    for item in node.body:
        if isinstance(item, ast.FunctionDef):
            members[item.name] = item
        elif isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            members[item.target.id] = item
    return members


def test_the_stub_names_what_is_compiled() -> None:
    assert set(_members(_classes("_native.pyi")["_Lib"])) == set(dir(_native.lib))


@pytest.mark.parametrize("name", [name for name in dir(_native.lib) if callable(getattr(_native.lib, name))])
def test_the_stub_has_the_parameters_of_the_shim(name: str) -> None:
    function = _members(_classes("_native.pyi")["_Lib"])[name]
    assert isinstance(function, ast.FunctionDef)
    stub = function.args.posonlyargs or function.args.args
    compiled = FFI.typeof(getattr(_native.lib, name))
    assert len(stub) - 1 == len(compiled.args)


def test_the_stub_has_the_fields_of_the_structs() -> None:
    stubs = _classes("_native.pyi")
    compiled = [name for name in FFI.list_types()[1] if name.startswith("uipc_")]
    assert compiled
    for name in compiled:
        stub = "_" + "".join(word.capitalize() for word in name.removeprefix("uipc_").split("_"))
        fields = dict(FFI.typeof(f"struct {name}").fields)
        assert list(_members(stubs[stub])) == list(fields), name


def test_the_stub_of_the_second_module_names_what_is_compiled() -> None:
    tree = ast.parse((PACKAGE / "_cpython.pyi").read_text())
    named = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assigned = [node.target for node in tree.body if isinstance(node, ast.AnnAssign)]
    named |= {target.id for target in assigned if isinstance(target, ast.Name)}
    assert named == {name for name in vars(_cpython) if not name.startswith("__")}
    memory = _members(_classes("_cpython.pyi")["Memory"]).keys() - {"__buffer__"}
    compiled = {name for name in vars(_cpython.Memory) if not name.startswith("__") or name in OPERATORS}
    assert memory == compiled
    semaphore = _members(_classes("_cpython.pyi")["Semaphore"]).keys()
    assert semaphore == {name for name in vars(_cpython.Semaphore) if not name.startswith("__")}


def test_the_stub_of_constants_is_complete() -> None:
    listed = {line.split()[1] for line in (SHIM / "constants.h").read_text().splitlines() if line.startswith("#define")}
    assert listed <= set(dir(_native.lib))


@pytest.mark.slow
@pytest.mark.parametrize("source", sorted(SHIM.glob("*.c")), ids=lambda path: path.name)
def test_the_shim_is_clean_under_strict_warnings(source: Path) -> None:
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("gcc is not installed")
    flags = ["-std=c11", "-O2", "-D_GNU_SOURCE=1", "-DPy_LIMITED_API=0x030b0000", "-fsyntax-only"]
    warnings = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]
    include = ["-isystem", sysconfig.get_path("include")]
    done = subprocess.run(
        [compiler, *flags, *warnings, *include, str(source)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
