"""Blocks of forks against loops over positions, and their rows in model files."""

from pathlib import Path

import pytest
import torch
from torch import nn

import attendet
from attendet.blocks import CrissCrossAttention, Involution, SpaceToDepth, WeightedConcat, WeightedSum
from attendet.errors import ModelFileError, OptionError
from attendet.models.bundled import bundled_text


@torch.no_grad()
def test_criss_cross_attention_against_loops() -> None:
    torch.manual_seed(0)
    module = CrissCrossAttention(16).double()
    module.gamma.fill_(0.7)
    x = torch.randn(2, 16, 3, 4, dtype=torch.float64)
    q, k, v = module.query_conv(x), module.key_conv(x), module.value_conv(x)
    expected = torch.empty_like(x)
    for n in range(2):
        for row in range(3):
            for column in range(4):
                cross = {(row, j) for j in range(4)} | {(i, column) for i in range(3)}
                places = sorted(cross)
                assert len(places) == 3 + 4 - 1
                logits = torch.stack([q[n, :, row, column] @ k[n, :, i, j] for i, j in places])
                values = torch.stack([v[n, :, i, j] for i, j in places])
                expected[n, :, row, column] = 0.7 * logits.softmax(0) @ values + x[n, :, row, column]
    torch.testing.assert_close(module(x), expected)
    assert sum(p.numel() for p in module.parameters()) == 2 * (16 * 2 + 2) + 16 * 16 + 16 + 1
    torch.testing.assert_close(CrissCrossAttention(16)(x.float()), x.float(), rtol=0, atol=0)


@torch.no_grad()
@pytest.mark.parametrize("stride", [1, 2])
def test_involution_against_loops(stride: int) -> None:
    torch.manual_seed(0)
    module = Involution(32, 32, 3, stride).eval().double()
    x = torch.randn(1, 32, 6, 8, dtype=torch.float64)
    pooled = nn.functional.avg_pool2d(x, stride) if stride > 1 else x
    kernels = module.span(module.reduce(pooled))
    padded = nn.functional.pad(x, (1, 1, 1, 1))
    expected = torch.zeros_like(pooled)
    for channel in range(32):
        for row in range(pooled.shape[2]):
            for column in range(pooled.shape[3]):
                kernel = kernels[0, (channel // 16) * 9 : (channel // 16 + 1) * 9, row, column].view(3, 3)
                window = padded[0, channel, row * stride : row * stride + 3, column * stride : column * stride + 3]
                expected[0, channel, row, column] = (kernel * window).sum()
    torch.testing.assert_close(module(x), expected)


def test_involution_keeps_the_width() -> None:
    with pytest.raises(OptionError, match="must be that of the input, 32, got 64"):
        Involution(32, 64)
    with pytest.raises(OptionError, match="must be a multiple of 16, got 24"):
        Involution(24, 24)


@torch.no_grad()
def test_fast_normalized_fusion() -> None:
    a, b = torch.randn(1, 4, 2, 2), torch.randn(1, 4, 2, 2)
    concat = WeightedConcat(2)
    concat.weights.w.copy_(torch.tensor([3.0, 1.0]))
    torch.testing.assert_close(concat([a, b]), torch.cat([a * 3 / 4.0001, b * 1 / 4.0001], 1))
    concat.weights.w.copy_(torch.tensor([3.0, -1.0]))
    torch.testing.assert_close(concat([a, b])[:, 4:], torch.zeros_like(b))
    fusion = WeightedSum(4, 6, 2)
    fused = (a + b) / 2.0001
    torch.testing.assert_close(fusion([a, b]), fusion.conv(fused * torch.sigmoid(fused)))


def test_space_to_depth_takes_the_four_slices() -> None:
    x = torch.arange(16.0).view(1, 1, 4, 4)
    assert SpaceToDepth()(x)[0, :, 0, 0].tolist() == [0, 4, 1, 5]
    with pytest.raises(OptionError, match="`dimension` must be 1, got 2"):
        SpaceToDepth(2)


def edited(tmp_path: Path, *changes: tuple[str, str]) -> Path:
    text = bundled_text("yolov5s")
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    file = tmp_path / "model.yaml"
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("changes", "row", "parameters"),
    [
        ([("[[-1, 6], 1, Concat, [1]]", "[[-1, 6], 1, BiFPN_Concat2, [1]]")], 12, 2),
        ([("[[-1, 6], 1, Concat, [1]]", "[[-1, 6], 1, BiFPN_Add2, [512, 512]]")], 12, 256 * 256 + 256 + 2),
        ([("[[-1, 6], 1, Concat, [1]]", "[[-1, 6], 1, BiFPN_Add2, [512, {norm: true}]]")], 12, 256 * 256 + 2 * 256 + 2),
        ([("[-1, 3, C3, [1024]]", "[-1, 1, CrissCrossAttention, [1024]]")], 8, 2 * (512 * 64 + 64) + 512 * 512 + 513),
        (
            [("[-1, 3, C3, [1024]]", "[-1, 1, Involution, [1024, 7, 1]]")],
            8,
            512 * 128 + 2 * 128 + 128 * 49 * 32 + 49 * 32,
        ),
        ([("[-1, 1, Conv, [1024, 3, 2]]", "[-1, 1, space_to_depth, [1]]")], 7, 0),
    ],
)
def test_rows_of_model_files(changes: list[tuple[str, str]], row: int, parameters: int, tmp_path: Path) -> None:
    detector = attendet.build(edited(tmp_path, *changes))
    assert sum(p.numel() for p in detector.model[row].parameters()) == parameters
    assert [raw.shape[2] for raw in detector(torch.rand(1, 3, 64, 64))] == [8, 4, 2]


def test_maps_of_different_width_cannot_be_added(tmp_path: Path) -> None:
    file = edited(tmp_path, ("[[-1, 6], 1, Concat, [1]]", "[[-1, 4], 1, BiFPN_Add2, [512, 512]]"))
    with pytest.raises(ModelFileError, match=r"row 12: BiFPN_Add2: the inputs must have the same number of channels"):
        attendet.build(file)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("ASFF_Detect", "no paper or table defines"),
        ("BiLevelRoutingAttention", r"arXiv:2303\.08810"),
        ("Segment", "segmentation"),
        ("SPPCSPC", "YOLOv7"),
    ],
)
def test_known_blocks_that_are_missing_are_refused_with_the_reason(name: str, reason: str, tmp_path: Path) -> None:
    file = edited(tmp_path, ("[-1, 3, C3, [1024]]", f"[-1, 3, {name}, [1024]]"))
    with pytest.raises(ModelFileError, match=f"attendet does not have '{name}': .*{reason}"):
        attendet.build(file)
