"""Registries: spellings of names, suggestions, and entries of other packages; and the text of errors."""

import pickle
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from attendet.errors import AttendetError, Location, ModelFileError, UnknownNameError, misspelled_name
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


MODULES = ["Bottleneck", "BottleneckCSP", "C2f", "C3", "C3TR", "Concat", "Conv", "DWConv", "Detect", "GhostConv"]
MODULES += ["SPP", "SPPF", "CBAM", "CBAMC3", "BAM", "CA", "ECA", "EMA", "GAM", "SE", "SK", "scSE", "TripletAttention"]
MODELS = ["yolov5n", "yolov5s", "yolov5s_CBAM", "yolov5s_CBAM-C3"]


@pytest.mark.parametrize(
    ("written", "known", "meant"),
    [
        ("cbam", MODULES, "CBAM"),
        ("Triplet_Attention", MODULES, "TripletAttention"),
        ("CBMA", MODULES, "CBAM"),
        ("Cnov", MODULES, "Conv"),
        ("Convv", MODULES, "Conv"),
        ("Detact", MODULES, "Detect"),
        ("SPFF", MODULES, "SPPF"),
        ("sse", MODULES, "SE"),
        ("C33", MODULES, "C3"),
        ("Botlenek", MODULES, "Bottleneck"),
        ("GhosConv", MODULES, "GhostConv"),
        ("yolov5s_CBMA", MODELS, "yolov5s_CBAM"),
        ("YOLOv5-s", MODELS, "yolov5s"),
        ("yolo5s", MODELS, "yolov5s"),
    ],
)
def test_typing_errors_are_recognized(written: str, known: list[str], meant: str) -> None:
    assert misspelled_name(written, known) == meant


@pytest.mark.parametrize(
    ("name", "known"),
    [
        *(
            (name, MODULES)
            for name in (
                *(
                    "C3CA",
                    "C3SE",
                    "C3ECA",
                    "C3STR",
                    "C3x",
                    "C3k2",
                    "C2",
                    "CBAMBlock",
                    "Block",
                    "SPPCSPC",
                    "ASPP",
                    "CCA",
                ),
                *("IDetect", "ASFF_Detect", "PConv", "DConv", "RepConv", "GhostConvV2", "LAM", "ACA", "SA", "", "x"),
            )
        ),
        *((name, MODELS) for name in ("yolov8s", "yolov5x", "yolov5s6", "yolov5su", "yolov5s_ECA", "yolov5s_C3CBAM")),
    ],
)
def test_another_network_is_never_suggested(name: str, known: list[str]) -> None:
    assert misspelled_name(name, known) is None


def test_long_names_are_compared_in_little_time() -> None:
    assert misspelled_name("Conv" * 25_000, ["Conv" * 24_999, "Conv"]) is None
