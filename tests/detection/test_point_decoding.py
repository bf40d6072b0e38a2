"""Decoding of maps without anchors against YOLOv8's numbers, by hand, and exported to other sizes."""

from collections.abc import Callable
from pathlib import Path

import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from attendet.detection.point_decoding import decode_points, mean_distances
from attendet.detection.points import cell_centers
from tests.helpers.oracles import Oracle, relative_difference

STRIDES = (8.0, 16.0, 32.0)


@pytest.mark.parametrize("name", ["yolov8n", "yolov8n_nc3", "yolo11n"])
def test_the_predictions_equal_the_original(oracle: Callable[..., Oracle], name: str, device: torch.device) -> None:
    expected = oracle(name, device)
    if "aux_boxes.kept" in expected.arrays:
        pytest.skip("the subset has a part of the logits only")
    logits = torch.cat([expected["aux_boxes"], expected["aux_scores"]], dim=1)
    sizes = [(192 // stride, 256 // stride) for stride in (8, 16, 32)]
    levels = logits.split([height * width for height, width in sizes], dim=2)
    raw = [level.unflatten(2, size) for level, size in zip(levels, sizes, strict=True)]
    decoded = decode_points(raw, STRIDES)
    assert decoded.is_contiguous()
    assert expected.difference("decoded", decoded.transpose(1, 2)) < 1e-5


def certain(distances: list[int], bins: int) -> Tensor:
    """Return logits (1, 4 * bins, 1, 1) of certain distances."""
    return 200.0 * nn.functional.one_hot(torch.tensor(distances), bins).float().view(1, -1, 1, 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_boxes_of_certain_distances(dtype: torch.dtype) -> None:
    fine = torch.cat([certain([0, 1, 2, 3], 4), torch.tensor([0.0, 4.0]).view(1, 2, 1, 1)], dim=1)
    # The center of the last cell, 2556, is not representable in bfloat16 or float16 with all of its digits.
    fine = torch.cat([torch.zeros(1, 18, 1, 638), fine], dim=3).to(dtype)
    coarse = torch.cat([certain([3, 0, 0, 2], 4), torch.zeros(1, 2, 1, 1)], dim=1).to(dtype)
    decoded = decode_points([fine, coarse], [4.0, 8.0], bins=4)
    assert decoded.dtype == torch.float32
    assert decoded.shape == (1, 640, 6)
    # left 0, top 4, right 8, bottom 12 pixels from (2554, 2); left 24, top 0, right 0, bottom 16 from (4, 4).
    torch.testing.assert_close(decoded[0, 638], torch.tensor([2558.0, 6.0, 8.0, 16.0, 0.5, 0.98201376]))
    torch.testing.assert_close(decoded[0, 639], torch.tensor([-8.0, 12.0, 24.0, 16.0, 0.5, 0.5]))


def test_low_precision_maps_are_decoded_in_float32() -> None:
    raw = torch.randn(1, 66, 1, 1).bfloat16()
    logits = raw.double().flatten()
    left, top, right, bottom = (logits[:64].view(4, 16).softmax(1) @ torch.arange(16).double() * 8).tolist()
    box = [4 + (right - left) / 2, 4 + (bottom - top) / 2, left + right, top + bottom]
    expected = torch.tensor([*box, *logits[64:].sigmoid().tolist()])
    torch.testing.assert_close(decode_points([raw], [8.0])[0, 0], expected)


def test_extreme_logits_have_finite_distances() -> None:
    logits = torch.tensor([1e4, -1e4, 1e4, -1e4] * 4).view(1, 16, 1, 1)
    assert mean_distances(logits).flatten().tolist() == [1.0] * 4


def test_cell_centers_are_ordered_by_level_y_and_x() -> None:
    points, stride = cell_centers([(2, 3), (1, 2)], [8.0, 16.0], dtype=torch.float64)
    assert points.dtype == stride.dtype == torch.float64
    expected = [(4, 4), (12, 4), (20, 4), (4, 12), (12, 12), (20, 12), (8, 8), (24, 8)]
    assert points.tolist() == [list(point) for point in expected]
    assert stride.tolist() == [8] * 6 + [16] * 2


class ToyHead(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        raw = [nn.functional.avg_pool2d(images, int(stride)) for stride in STRIDES]
        return decode_points(raw, STRIDES)


def exported_head() -> torch.export.ExportedProgram:
    batch, height, width = (torch.export.Dim(name, min=2, max=64) for name in ("batch", "height", "width"))
    images = torch.randn(2, 67, 64, 96)
    return torch.export.export(ToyHead(), (images,), dynamic_shapes=[{0: batch, 2: 32 * height, 3: 32 * width}])


def test_a_program_of_dynamic_size_equals_the_function() -> None:
    images = torch.randn(3, 67, 128, 64)
    torch.testing.assert_close(exported_head().module()(images), ToyHead()(images))


def test_an_onnx_file_of_dynamic_size_equals_the_function(tmp_path: Path) -> None:
    program = torch.onnx.export(exported_head(), dynamo=True, verbose=False)
    assert program is not None
    program.save(tmp_path / "head.onnx")
    images = torch.randn(3, 67, 128, 64)
    session = onnxruntime.InferenceSession(tmp_path / "head.onnx", providers=["CPUExecutionProvider"])
    (decoded,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    assert relative_difference(torch.as_tensor(decoded), ToyHead()(images)) < 1e-5
