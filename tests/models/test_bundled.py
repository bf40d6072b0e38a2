"""The bundled models: published sizes, no findings, and plain model files."""

import pytest
import torch

import attendet
from attendet.attention import CBAM
from attendet.blocks import C3, SPPF
from attendet.errors import ModelFileError
from attendet.models.bundled import bundled_names, bundled_names_of_width
from attendet.models.lint.checker import check_model_file
from attendet.models.summary import summarize
from attendet.models.yaml.lookup import load_model_file

PUBLISHED = {
    "yolov5n": (1_872_157, 4.5),
    "yolov5s": (7_235_389, 16.5),
    "yolov5m": (21_190_557, 49.0),
    "yolov5l": (46_563_709, 109.1),
    "yolov5x": (86_749_405, 205.7),
    "yolov8n": (3_157_200, 8.9),
    "yolov8s": (11_166_560, 28.8),
    "yolov8m": (25_902_640, 79.3),
    "yolov8l": (43_691_520, 165.7),
    "yolov8x": (68_229_648, 258.5),
    "yolo11n": (2_624_080, 6.6),
    "yolo11s": (9_458_752, 21.7),
    "yolo11m": (20_114_688, 68.5),
    "yolo11l": (25_372_160, 87.6),
    "yolo11x": (56_966_176, 196.0),
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


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("yolov8", "name a size: yolov8n, yolov8s, yolov8m, yolov8l, yolov8x"),
        ("yolo11.yaml", "name a size: yolo11n, yolo11s, yolo11m, yolo11l, yolo11x"),
        ("yolov5_CBAM-C3", "name a size: yolov5n_CBAM-C3, yolov5s_CBAM-C3, .*"),
        ("yolov8q", r"bundled models are yolov8\{n,s,m,l,x\}, also with _CBAM or _CBAM-neck"),
        ("yolov8n-seg", r"bundled models are yolov8\{n,s,m,l,x\}, also with _CBAM or _CBAM-neck"),
        ("yolov8n-p2", r"bundled models are yolov8\{n,s,m,l,x\}, also with _CBAM or _CBAM-neck"),
        ("yolov8n_SE", "for an attention module named SE, write --cfg yolov8n --attention se@neck"),
        ("yolo11sECA.yaml", "for an attention module named ECA, write --cfg yolo11s --attention eca@neck"),
        ("yolov5m-simam", "for an attention module named simam, write --cfg yolov5m --attention simam@neck"),
        ("yolov8n_CBMA", "did you mean 'yolov8n_CBAM'[?]"),
        (
            "mine.yaml",
            r"bundled models are yolov5\{n,s,m,l,x\}, also with _CBAM or _CBAM-C3; yolov8\{.*; yolo11\{.*_CBAM-neck",
        ),
    ],
)
def test_an_unknown_name_is_refused_with_the_names_of_its_family(name: str, remedy: str) -> None:
    with pytest.raises(ModelFileError, match=f"{name}: no such model file or bundled model; {remedy}$"):
        load_model_file(name)


def test_every_architecture_has_every_size() -> None:
    expected = {f"yolov5{size}{ending}" for size in "nsmlx" for ending in ("", "_CBAM", "_CBAM-C3")}
    for family in ("yolov8", "yolo11"):
        expected |= {f"{family}{size}{ending}" for size in "nsmlx" for ending in ("", "_CBAM", "_CBAM-neck")}
    assert set(bundled_names()) == expected


@pytest.mark.parametrize("family", ["yolov5", "yolov8", "yolo11"])
@pytest.mark.parametrize("size", "nsmlx")
def test_cbam_is_inserted_before_sppf(family: str, size: str) -> None:
    with torch.device("meta"):
        modules = list(attendet.build(f"{family}{size}_CBAM").model)
    places = [index for index, module in enumerate(modules) if isinstance(module, CBAM)]
    assert places == [9]
    assert isinstance(modules[10], SPPF)


@pytest.mark.parametrize("size", "nsmlx")
def test_cbam_replaces_every_c3_of_the_backbone(size: str) -> None:
    with torch.device("meta"):
        modules = list(attendet.build(f"yolov5{size}_CBAM-C3").model)
    assert [index for index, module in enumerate(modules) if isinstance(module, CBAM)] == [2, 4, 6, 8]
    assert [index for index, module in enumerate(modules) if isinstance(module, C3)] == [13, 17, 20, 23]
    hidden = [module.channel.fc1.out_features for module in modules if isinstance(module, CBAM)]
    assert min(hidden) >= 4


@pytest.mark.parametrize("family", ["yolov8", "yolo11"])
@torch.no_grad()
def test_cbam_in_the_neck_is_where_attach_puts_it(family: str) -> None:
    torch.manual_seed(0)
    written = attendet.build(f"{family}n_CBAM-neck", num_classes=2).train(False)
    attached = attendet.build(f"{family}n", num_classes=2).train(False)
    attendet.attach(attached, "cbam", "neck")
    # The rows differ, but the tensors come in the same order of execution.
    values = dict(zip(execution_order(attached), execution_order(written), strict=True))
    for one, other in values.items():
        assert [tensor.shape for tensor in one.state_dict().values()] == [
            tensor.shape for tensor in other.state_dict().values()
        ]
        one.load_state_dict(dict(zip(one.state_dict(), other.state_dict().values(), strict=True)))
    images = torch.rand(1, 3, 64, 96)
    for one, other in zip(attached(images), written(images), strict=True):
        torch.testing.assert_close(one, other)


def execution_order(detector: torch.nn.Module) -> list[torch.nn.Module]:
    """Return the modules with tensors of their own, in the order in which a pass runs them."""
    modules: list[torch.nn.Module] = []
    own = [
        module
        for module in detector.modules()
        if next(module.parameters(recurse=False), None) is not None
        or next(module.buffers(recurse=False), None) is not None
    ]
    handles = [module.register_forward_hook(lambda each, *_: modules.append(each)) for module in own]
    detector(torch.rand(1, 3, 64, 64))
    for handle in handles:
        handle.remove()
    return list(dict.fromkeys(modules))


@pytest.mark.parametrize("name", bundled_names())
def test_a_model_is_found_by_the_width_of_its_first_row(name: str) -> None:
    with torch.device("meta"):
        weight = attendet.build(name).state_dict()["model.0.conv.weight"]
    assert name in bundled_names_of_width(len(weight))
    assert len(bundled_names_of_width(len(weight))) <= 12
