"""Attention as rows of YOLOv8 and YOLO11: every module, every form in use, and widths with an upper limit."""

from __future__ import annotations

import pytest
import torch

import attendet
from attendet.attention import CBAM
from attendet.attention.catalog import attentions
from attendet.errors import ModelFileError, UnknownNameError
from attendet.models import Detector
from attendet.models.bundled import bundled_text
from attendet.models.lint.checker import check_model_file
from attendet.models.planning import plan_model
from attendet.models.yaml.model_file import ModelFile, read_model_file
from attendet.models.yaml.unknown_blocks import unknown_block

CBAM_ROW = "CBAM, [1024, 16, 7]"


def with_row(row: str, name: str = "yolov8n", *, before: str = CBAM_ROW) -> ModelFile:
    """Return a bundled file whose row before SPPF is replaced."""
    text = bundled_text(f"{name}_CBAM")
    assert text.count(before) == 1
    return read_model_file(text.replace(before, row), f"{name}.yaml")


def finite_outputs(detector: Detector) -> list[tuple[int, ...]]:
    with torch.no_grad():
        raw = detector.train(False)(torch.rand(2, 3, 64, 96))
    assert all(bool(level.isfinite().all()) for level in raw)
    return [tuple(level.shape) for level in raw]


@pytest.mark.parametrize("name", ["yolov8n", "yolo11n"])
@pytest.mark.parametrize("attention", attentions.names())
def test_every_attention_is_a_row(attention: str, name: str) -> None:
    file = with_row(f"{attention}, [1024]", name)
    detector = attendet.build(file, num_classes=3)
    # A quarter of 1,024 channels come in and go out.
    assert detector.model[9](torch.rand(2, 256, 2, 3)).shape == (2, 256, 2, 3)
    assert finite_outputs(detector) == [(2, 67, 8, 12), (2, 67, 4, 6), (2, 67, 2, 3)]
    assert [finding.kind for finding in check_model_file(file) if finding.is_fault] == []


@pytest.mark.parametrize("name", ["yolov8n", "yolo11n"])
@pytest.mark.parametrize(
    ("row", "expected"),
    [
        # The row that ends with KeyError: 'CBAM' elsewhere.
        ("[-1, 1, CBAM, [1024]]", (16, 7)),
        ("[-1, 3, CBAM, [1024, 7]]", (16, 7)),
        ("[-1, 1, CBAM, [1024, 3]]", (16, 3)),
        ("[-1, 1, CBAM, [1024, 8]]", (8, 7)),
        ("[-1, 1, CBAM, [1024, 16, 7]]", (16, 7)),
        ("[-1, 1, CBAM, [16]]", (16, 7)),
        ("[-1, 1, CBAM, [7]]", (16, 7)),
        ("[-1, 1, CBAM, []]", (16, 7)),
        ("[-1, 1, CBAM, [1024, 1024, 3]]", (16, 3)),
        ("[-1, 1, CBAM, [1024, {reduction: 8, kernel_size: 3}]]", (8, 3)),
    ],
)
@pytest.mark.filterwarnings("ignore:.*forks disagree about 3 repeats")
def test_forms_in_use_are_read(row: str, expected: tuple[int, int], name: str) -> None:
    file = with_row(row, name, before=f"[-1, 1, {CBAM_ROW}]")
    attention = attendet.build(file, num_classes=3).model[9]
    assert isinstance(attention, CBAM)
    hidden, channels = attention.channel.fc1.weight.shape
    assert (channels, channels // hidden, attention.spatial.conv.weight.shape[-1]) == (256, *expected)
    assert [finding.kind for finding in check_model_file(file) if finding.is_fault] == []


@pytest.mark.parametrize(
    ("name", "channels", "declared"),
    [
        # The largest widths are 768 and 512, before they are multiplied.
        ("yolov8m", 576, (1024, 768, 2048)),
        ("yolov8l", 512, (1024, 768, 512)),
        ("yolov8x", 640, (1024, 512)),
        ("yolo11m", 512, (1024, 512)),
        ("yolo11x", 768, (1024, 512)),
    ],
)
def test_declared_widths_have_the_upper_limit_of_their_size(
    name: str, channels: int, declared: tuple[int, ...]
) -> None:
    for width in declared:
        for row in (f"CBAM, [{width}]", f"CBAM, [{width}, 7]", f"C2f_CBAM, [{width}, True]", f"Conv_CBAM, [{width}]"):
            file = with_row(row, name)
            assert check_model_file(file) == []
            with torch.device("meta"):
                module = attendet.build(file).model[9]
                assert module(torch.rand(1, channels, 4, 4)).shape == (1, channels, 4, 4)
    wrong, unscaled = check_model_file(with_row("CBAM, [256]", name)), check_model_file(with_row("CBAM, [576]", name))
    assert [finding.kind for finding in wrong] == ["width"]
    assert [finding.kind for finding in unscaled] == (["unscaled-width"] if channels == 576 else [])


@pytest.mark.parametrize(
    ("place", "row", "channels", "shifted"),
    [
        ("[-1, 1, Conv, [512, 3, 2]] # 5, stride 16", 6, 256, [12, 18, 21, 23]),
        ("[-1, 1, SPPF, [1024, 5]] # 9", 10, 512, [18, 23]),
    ],
)
@pytest.mark.parametrize("module", ["SE, [{}]", "SimAM, []", "EMA, [{}]", "CoordAtt, [{}]", "TripletAttention, []"])
def test_other_modules_keep_their_input(place: str, row: int, channels: int, shifted: list[int], module: str) -> None:
    text = bundled_text("yolov8s")
    assert text.count(place) == 1
    # Size s has half of the declared channels.
    text = text.replace(place, f"{place}\n  - [-1, 1, {module.format(2 * channels)}]")
    file = read_model_file(text, "yolov8s.yaml")
    # The numbers of the head are wrong now, with two consequences, but nothing else is.
    found = [(finding.kind, finding.row) for finding in check_model_file(file)]
    assert found == [*(("shifted-index", row) for row in shifted), ("dead-row", 22), ("detect-input", 23)]
    planned = plan_model(file, tolerant=True).rows
    assert planned[row].row.module == module.partition(",")[0]
    assert planned[row].shapes == planned[row - 1].shapes
    assert planned[row].shapes[0][1] == channels


def test_the_mean_of_distributions_is_a_row() -> None:
    rows = (
        "[-1, 1, Conv, [64, 3, 8]]\n  - [-1, 1, DFL, [16]]\nhead:\n  - [-1, 1, Conv, [8]]\n  - [[-1], 1, Detect, [nc]]"
    )
    text = f"nc: 2\ndepth_multiple: 1\nwidth_multiple: 1\nbackbone:\n  - {rows}\n"
    assert check_model_file(read_model_file(text, "mine.yaml")) == []
    modules = attendet.build(read_model_file(text, "mine.yaml")).model
    logits = torch.randn(2, 64, 3, 5)
    sides = modules[1](logits)
    assert sides.shape == modules[2](sides)[:, :4].shape == (2, 4, 3, 5)
    # With a single logit, side 2 has the mean 9.
    logits[1, :, 2, 1] = 0
    logits[1, 32 + 9, 2, 1] = 1e4
    torch.testing.assert_close(modules[1](logits)[1, :, 2, 1], torch.tensor([7.5, 7.5, 9.0, 7.5]))
    (fault,) = check_model_file(read_model_file(text.replace("[16]", "[8]"), "mine.yaml"))[:1]
    assert "the input of DFL must have 4 · 8 = 32 channels, got 64" in fault.message


@pytest.mark.parametrize(
    ("module", "remedy"),
    [
        *((module, "use Detect$") for module in ("Segment", "Pose", "OBB", "WorldDetect", "YOLOESegment")),
        *((module, "register the block") for module in ("Classify", "v10Detect", "RTDETRDecoder")),
    ],
)
def test_other_heads_are_refused_with_the_reason(module: str, remedy: str) -> None:
    text = bundled_text("yolov8n").replace("Detect, [nc]", f"{module}, [nc]")
    with pytest.raises(ModelFileError, match=rf"row 22: attendet does not have '{module}': (a|the) .*; {remedy}"):
        attendet.build(read_model_file(text, "yolov8n.yaml"))


@pytest.mark.parametrize(
    ("module", "family"), [("C2fCIB", "YOLOv10"), ("A2C2f", "YOLO12"), ("RepC3", "RT-DETR"), ("ADown", "YOLOv9")]
)
def test_blocks_of_other_families_are_refused_with_the_family(module: str, family: str) -> None:
    error = unknown_block(module)
    assert isinstance(error, UnknownNameError)
    assert f"a block of {family}" in error.message
