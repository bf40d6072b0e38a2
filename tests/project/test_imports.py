"""The modules of attendet import each other in one direction only."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import attendet

PACKAGE = "attendet"
SOURCE = Path(attendet.__file__).parent


def test_no_module_imports_itself_through_others() -> None:
    """The graph of all imports, at the top of modules and inside functions, has no cycle."""
    assert import_cycles(source_files(SOURCE)) == []


def test_finds_the_cycles_of_a_package(tmp_path: Path) -> None:
    """Cycles through functions, relative imports, and lazy packages count; imports for type checking do not."""
    for name, text in {
        "__init__.py": "",
        "function.py": "def later():\n    from attendet.relative import value\n",
        "relative.py": "from . import function\nvalue = 1\n",
        "lazy/__init__.py": "import lazy_loader",
        "lazy/__init__.pyi": "from .inside import name as name\nfrom .outside import other as other\n",
        "lazy/inside.py": "from attendet.user import user\n",
        "lazy/outside.py": "other = 1\n",
        "user.py": "from attendet.lazy import name\n",
        "typed.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from attendet.types import T\n",
        "types.py": "import attendet.typed\nfrom attendet.lazy import other\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert import_cycles(source_files(tmp_path)) == [
        ["attendet.function", "attendet.relative"],
        ["attendet.lazy.inside", "attendet.user"],
    ]


def source_files(folder: Path) -> dict[str, Path]:
    """Return the source file of every module, a package being its `__init__.py`, by the module's full name."""
    files = {}
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        files[".".join((PACKAGE, *(part for part in parts if part != "__init__")))] = path
    return files


def import_cycles(files: Mapping[str, Path]) -> list[list[str]]:
    """Return the groups of modules in which each imports every other, directly or through the others."""
    graph = {module: sorted(imported_modules(module, files)) for module in files}
    reachable = {module: _reachable(module, graph) for module in files}
    groups = {
        tuple(sorted(other for other in reachable[module] if module in reachable[other]))
        for module in files
        if module in reachable[module]
    }
    return sorted(map(list, groups))


def imported_modules(module: str, files: Mapping[str, Path]) -> set[str]:
    """Return the modules of the package that a module imports when it is loaded or when its functions run."""
    path = files[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    imported: set[str] = set()
    for node in _runtime_imports(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names if alias.name in files}
            continue
        base = _absolute(node, package)
        for alias in node.names:
            target = _module_of_name(base, alias.name, files)
            if target in files:
                imported.add(target)
    return imported


def _runtime_imports(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif isinstance(child, ast.If) and ast.unparse(child.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            yield from _runtime_imports(ast.Module(child.orelse, []))
        else:
            yield from _runtime_imports(child)


def _absolute(node: ast.ImportFrom, package: str) -> str:
    """Return the full name of the module that a `from` statement names."""
    parents = package.split(".")[: len(package.split(".")) - (node.level - 1)] if node.level else []
    return ".".join((*parents, *filter(None, [node.module])))


def _module_of_name(base: str, name: str, files: Mapping[str, Path]) -> str:
    """Return the module that `from base import name` loads last: a submodule, or the one that a lazy package names."""
    if f"{base}.{name}" in files:
        return f"{base}.{name}"
    stub = files[base].with_suffix(".pyi") if base in files else None
    if stub is not None and stub.is_file():
        for node in ast.parse(stub.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom) and name in {alias.asname or alias.name for alias in node.names}:
                return _module_of_name(_absolute(node, base), name, files)
    return base


def _reachable(start: str, graph: Mapping[str, list[str]]) -> set[str]:
    """Return the modules that a module imports directly or through others; itself, too, if it is in a cycle."""
    found: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting += graph[module]
    return found
