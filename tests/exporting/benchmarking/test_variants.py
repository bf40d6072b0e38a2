"""The rows of a benchmark: their names, their order, and packages that are missing."""

import sys

import pytest

from attendet.errors import OptionError, UnknownNameError
from attendet.exporting.benchmarking.variants import choose_variants

MODULES = ("onnx", "onnxscript", "onnxruntime", "openvino", "nncf", "ncnn", "pnnx", "executorch")


@pytest.fixture
def without_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in MODULES:
        monkeypatch.setitem(sys.modules, module, None)


def test_torch_is_the_first_row_and_comes_once() -> None:
    assert [each.name for each in choose_variants(["torch", "torch-eager", "torch"])] == ["torch-eager", "torch"]


def test_a_compiled_network_is_measured_only_if_it_is_named() -> None:
    assert "torch-compile" in [each.name for each in choose_variants(["torch-compile"])]
    assert "torch-compile" not in [each.name for each in choose_variants()]


def test_precisions_are_added_to_the_formats_that_have_them() -> None:
    for module in ("onnx", "onnxscript", "onnxruntime", "openvino", "nncf"):
        pytest.importorskip(module)
    names = [each.name for each in choose_variants(["torch", "onnx", "openvino"], half=True, int8=True)]
    assert names == [
        "torch-eager",
        "torch",
        "torch-half",
        "onnx",
        "onnx-half",
        "onnx-int8",
        "openvino",
        "openvino-native",
        "openvino-half",
        "openvino-int8",
    ]


@pytest.mark.usefixtures("without_packages")
def test_without_other_packages_the_files_of_torch_are_measured() -> None:
    assert [each.name for each in choose_variants()] == ["torch-eager", "torch"]


@pytest.mark.usefixtures("without_packages")
@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [("onnx", "onnx", "export"), ("ncnn", "ncnn", "ncnn"), ("executorch", "executorch", "executorch")],
)
def test_a_missing_package_is_named_with_the_command(name: str, module: str, extra: str) -> None:
    with pytest.raises(OptionError) as caught:
        choose_variants([name])
    assert str(caught.value) == f"`{module}` must be installed to measure {name}; pip install 'attendet[{extra}]'"


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="'onx'"):
        choose_variants(["onx"])


def test_a_precision_that_no_format_has_is_refused() -> None:
    with pytest.raises(OptionError, match="`int8` needs one of the formats onnx, openvino, got torch"):
        choose_variants(["torch"], int8=True)
