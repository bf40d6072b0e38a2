"""Registries: spellings of names, suggestions, and entries of other packages; and the text of errors."""

import pickle
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from attendet.errors import AttendetError, Location, ModelFileError, UnknownNameError
from attendet.registry import Registry
from tests.helpers.installed_package import install


def test_names_are_found_in_any_spelling() -> None:
    registry = Registry[str]("thing")
    registry.register("c3-cbam", "other")("entry")
    assert {registry.get(name) for name in ("C3CBAM", "c3_cbam", "C3-CBAM", "OTHER")} == {"entry"}
    assert registry.names() == ("c3-cbam",)


def test_unknown_and_repeated_names_are_errors() -> None:
    registry = Registry[int]("thing")
    registry.register("conv")(1)
    with pytest.raises(UnknownNameError, match="unknown thing 'cnov'; did you mean 'conv'"):
        registry.get("cnov")
    with pytest.raises(AttendetError, match="the thing 'Conv' is already registered"):
        registry.register("Conv")(2)


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return an empty folder on sys.path; modules that a test imports from it are removed afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for module in tmp_path.glob("*.py"):
        sys.modules.pop(module.stem, None)


def test_another_package_adds_an_entry(packages: Path) -> None:
    install(packages, "other_package", "answer = 42\n", "[tests.things]\nother = other_package:answer\n")
    registry = Registry[int]("thing", entry_point_group="tests.things")
    assert "other_package" not in sys.modules
    assert registry.get("Other") == 42
    assert registry.names() == ("other",)


def test_a_package_with_a_decorator_and_an_entry_point_has_one_entry(
    packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Registry[object]("thing", entry_point_group="tests.decorated")
    shared = types.ModuleType("shared_registry")
    monkeypatch.setitem(sys.modules, "shared_registry", shared)
    monkeypatch.setattr(shared, "registry", registry, raising=False)
    code = "from shared_registry import registry\n@registry.register('eca9')\nclass ECA: ...\n"
    install(packages, "decorating", code, "[tests.decorated]\neca9 = decorating:ECA\n")
    assert getattr(registry.get("eca9"), "__name__", "") == "ECA"
    assert registry.names() == ("eca9",)


def test_errors_have_a_place_and_a_remedy_and_survive_pickling() -> None:
    error = ModelFileError("`kernel` must be odd, got 4", where=Location("a.yaml", 3, 4), remedy="write 5")
    assert str(error) == "a.yaml:3:4: `kernel` must be odd, got 4; write 5"
    copied = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (type(copied), str(copied)) == (ModelFileError, str(error))
