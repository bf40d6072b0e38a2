"""Names of classes, modules, and public functions: one meaning per name, and nothing hides anything."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType

import pytest

import attendet

SOURCE = Path(attendet.__file__).parent

SAME_FILE_NAMES = {
    "benchmarking": "the package, and the public function over it",
    "catalog": "the registry of the modules that a package offers",
    "cbam": "CBAM as a module (attention) and as operators (ops)",
    "config": "the settings of the package",
    "costs": "the cost of networks: counted (models), and measured (study)",
    "data": "the package, and the command for it",
    "exporting": "the package, and the public function over it",
    "formats": "the file formats that the package reads or writes",
    "io": "reading and writing files: any (utils), and weights",
    "prediction": "the package, and the public function over it",
    "records": "the records of the package, and their files (utils)",
    "study": "the package, and the command for it",
    "summary": "the summary of a model, and the command that prints it",
    "training": "the package, and the public function over it",
    "validation": "measuring a detector, and the public function over it",
    "weights": "the package, and the command for it",
}
"""Names of files and folders that occur more than once, and the meaning that they share."""

SAME_CLASS_NAMES: dict[str, str] = {}
"""Names of classes that occur more than once, and the meaning that they share."""

PACKAGES = ["attendet", *(module.name for module in pkgutil.walk_packages([str(SOURCE)], "attendet.") if module.ispkg)]


def test_no_file_name_has_two_meanings() -> None:
    assert repeated(file_names(SOURCE)).keys() == SAME_FILE_NAMES.keys(), repeated(file_names(SOURCE))


def test_no_class_name_has_two_meanings() -> None:
    assert repeated(class_names(SOURCE)).keys() == SAME_CLASS_NAMES.keys(), repeated(class_names(SOURCE))


def test_no_module_has_the_name_of_a_public_function_in_it() -> None:
    """Except for commands: users type them and do not import them."""
    assert [path for path in named_like_their_function(SOURCE) if not path.startswith("cli/")] == []


@pytest.mark.parametrize("name", PACKAGES)
def test_every_package_lists_its_public_names(name: str) -> None:
    package = importlib.import_module(name)
    assert "__all__" in vars(package)
    assert set(package.__all__) <= set(dir(package))
    assert sorted(package.__all__) == sorted(set(package.__all__))


@pytest.mark.parametrize("name", PACKAGES)
def test_no_public_name_is_hidden_by_a_module(name: str) -> None:
    """Importing a submodule sets an attribute of its package, which may replace a function of the same name."""
    import_all_modules()
    package = importlib.import_module(name)
    public = {public: getattr(package, public) for public in getattr(package, "__all__", ())}
    modules = {public for public, value in public.items() if isinstance(value, ModuleType)}
    assert modules == exported_modules(Path(str(package.__file__)).parent)


def test_repeated_names_are_found(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "__init__.py": "",
            "a/__init__.py": "",
            "a/plots.py": "class Row: ...\ndef plots(): ...\n",
            "a/rows.py": "class Rows: ...\ndef _rows(): ...\n",
            "plots/__init__.py": "class Row:\n    class Rows: ...\n",
            "b/rows.py": "def row(): ...\n",
        },
    )
    assert repeated(file_names(tmp_path)) == {"plots": ["a/plots.py", "plots"], "rows": ["a/rows.py", "b/rows.py"]}
    assert repeated(class_names(tmp_path)) == {
        "Row": ["a/plots.py", "plots/__init__.py"],
        "Rows": ["a/rows.py", "plots/__init__.py"],
    }
    assert named_like_their_function(tmp_path) == ["a/plots.py"]


def write(root: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def import_all_modules() -> None:
    for module in pkgutil.walk_packages([str(SOURCE)], "attendet."):
        if module.name != "attendet.__main__":
            importlib.import_module(module.name)


def exported_modules(package: Path) -> set[str]:
    """Return the modules that a package imports on purpose: `from . import NAME`."""
    stub = package / "__init__.pyi"
    source = stub if stub.is_file() else package / "__init__.py"
    return {
        alias.name
        for node in ast.parse(source.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module is None
        for alias in node.names
    }


def repeated(places: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return the names that occur at more than one place, with their places."""
    by_name: defaultdict[str, list[str]] = defaultdict(list)
    for name, place in places:
        by_name[name].append(place)
    return {name: found for name, found in sorted(by_name.items()) if len(found) > 1}


def file_names(folder: Path) -> list[tuple[str, str]]:
    """Return the name of every module and package, and its path."""
    paths = [path.parent if path.name == "__init__.py" else path for path in python_files(folder)]
    return [(path.stem, str(path.relative_to(folder))) for path in sorted(paths) if path != folder]


def class_names(folder: Path) -> list[tuple[str, str]]:
    """Return the name of every class, and the path of its module."""
    return [
        (node.name, str(path.relative_to(folder)))
        for path in python_files(folder)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    ]


def named_like_their_function(folder: Path) -> list[str]:
    """Return the paths of the modules that define a function or class of their own name."""
    return [
        str(path.relative_to(folder))
        for path in python_files(folder)
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == path.stem
    ]


def python_files(folder: Path) -> Sequence[Path]:
    return sorted(folder.rglob("*.py"))
