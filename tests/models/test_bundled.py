"""The bundled models: published sizes, no findings, and plain model files."""

import pytest
import torch

import attendet
from attendet.attention import CBAM
from attendet.blocks import C3, SPPF
from attendet.models.bundled import SIZES, bundled_names, bundled_names_of_width
from attendet.models.lint.checker import check_model_file
from attendet.models.summary import summarize

PUBLISHED = {
    "yolov5n": (1_872_157, 4.5),
    "yolov5s": (7_235_389, 16.5),
    "yolov5m": (21_190_557, 49.0),
    "yolov5l": (46_563_709, 109.1),
    "yolov5x": (86_749_405, 205.7),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_and_gflops_equal_the_published_numbers(name: str) -> None:
    parameters, gflops = PUBLISHED[name]
    summary = summarize(name)
    assert summary.parameters == parameters
    assert summary.gflops == pytest.approx(gflops, rel=0.02)


@pytest.mark.parametrize("name", bundled_names())
def test_there_are_no_findings(name: str) -> None:
    assert check_model_file(name) == []


def test_every_architecture_has_every_size() -> None:
    suffixes = ("", "_CBAM", "_CBAM-C3")
    assert set(bundled_names()) == {f"yolov5{size}{suffix}" for size in "nsmlx" for suffix in suffixes}


@pytest.mark.parametrize("size", SIZES)
def test_cbam_is_inserted_before_sppf(size: str) -> None:
    with torch.device("meta"):
        modules = list(attendet.build(f"yolov5{size}_CBAM").model)
    places = [index for index, module in enumerate(modules) if isinstance(module, CBAM)]
    assert places == [9]
    assert isinstance(modules[10], SPPF)


@pytest.mark.parametrize("size", SIZES)
def test_cbam_replaces_every_c3_of_the_backbone(size: str) -> None:
    with torch.device("meta"):
        modules = list(attendet.build(f"yolov5{size}_CBAM-C3").model)
    assert [index for index, module in enumerate(modules) if isinstance(module, CBAM)] == [2, 4, 6, 8]
    assert [index for index, module in enumerate(modules) if isinstance(module, C3)] == [13, 17, 20, 23]
    hidden = [module.channel.fc1.out_features for module in modules if isinstance(module, CBAM)]
    assert min(hidden) >= 4


@pytest.mark.parametrize("name", bundled_names())
def test_a_model_is_found_by_the_width_of_its_first_row(name: str) -> None:
    with torch.device("meta"):
        weight = attendet.build(name).state_dict()["model.0.conv.weight"]
    assert name in bundled_names_of_width(len(weight))
    assert len(bundled_names_of_width(len(weight))) == 3
