"""Attention modules in other runtimes, and the page that lists all of them."""

import re
from pathlib import Path

import pytest

from attendet.attention import names
from tests.helpers.tools import load_tool

# Modules whose operations the converters have refused or written wrongly before: sums over pools, softmax, groups,
# axes that are joined and divided again, and constants that switch a computation.
REPRESENTATIVE = ("cbam", "coordinate", "ema", "gam", "lsk", "shuffle", "sk")
TOLERANCE = 1e-5  # as a fraction of the largest value

pytest.importorskip("onnxruntime")
zoo = load_tool("zoo_formats")


def test_the_page_has_a_row_for_every_module():
    rows = re.findall(
        r"^\| `([\w-]+)` \| (.+) \| (.+) \| (.+) \|$", zoo.TARGET.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert [name for name, *_ in rows] == list(names())
    for name, *cells in rows:
        for cell in cells:
            assert cell.startswith("not possible: ") or float(cell) < TOLERANCE, f"{name}: {cell}"


@pytest.mark.parametrize("name", REPRESENTATIVE)
def test_ncnn_equals_torch_at_two_sizes(name: str, tmp_path: Path):
    pytest.importorskip("ncnn")
    pytest.importorskip("pnnx")
    network = zoo.example_network(name)
    assert zoo.largest_difference(zoo.open_ncnn(network, tmp_path), network) < TOLERANCE


def test_openvino_and_onnxruntime_equal_torch_at_two_sizes(tmp_path: Path):
    pytest.importorskip("openvino")
    network = zoo.example_network("ema")
    for opened in (zoo.open_onnx, zoo.open_openvino):
        assert zoo.largest_difference(opened(network, tmp_path), network) < TOLERANCE


def test_another_network_differs(tmp_path: Path):
    pytest.importorskip("ncnn")
    pytest.importorskip("pnnx")
    runtime = zoo.open_ncnn(zoo.example_network("cbam"), tmp_path)
    assert zoo.largest_difference(runtime, zoo.example_network("se")) > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("name", names())
def test_the_row_of_the_page_is_possible(name: str):
    for package in ("onnxscript", "openvino", "ncnn", "pnnx"):
        pytest.importorskip(package)
    cells = zoo.row(name).strip("| ").split(" | ")[1:]
    assert all(float(cell) < TOLERANCE for cell in cells), cells
