"""Non-maximum suppression in exported programs and ONNX files against the suppression of torch."""

from pathlib import Path

import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from attendet.detection.selection_operator import select_detections
from attendet.detection.suppression import nms
from attendet.detection.suppression_defaults import SuppressionDefaults
from attendet.errors import OptionError
from attendet.exporting import SelectionOptions
from attendet.exporting.onnx_file import write_onnx
from attendet.runtimes.file_description import FileDescription

THRESHOLDS = {"confidence": 0.3, "iou": 0.5, "max_detections": 12}
DESCRIPTION = FileDescription(kind="network", outputs=("detections",), weights_digest="", versions={})


def random_predictions(count: int, rows: int, seed: int) -> Tensor:
    """Return predictions of overlapping boxes of three classes; some scores are equal."""
    generator = torch.Generator().manual_seed(seed)
    centers = 60 * torch.rand(count, rows, 2, generator=generator)
    sides = 4 + 30 * torch.rand(count, rows, 2, generator=generator)
    scores = (torch.rand(count, rows, 3, generator=generator) * 20).round() / 20
    # Each row has scores of its own, so that the order is the same everywhere, except for the class scores of a row.
    scores *= 1 - 0.01 * torch.rand(count, rows, 1, generator=generator)
    return torch.cat([centers, sides, scores.clamp(0, 1)], 2)


class Selection(nn.Module):
    def __init__(self, agnostic: bool) -> None:
        super().__init__()
        self.agnostic = agnostic

    def forward(self, predictions: Tensor) -> tuple[Tensor, ...]:
        return (select_detections(predictions, **THRESHOLDS, agnostic=self.agnostic),)


def require_equal(actual: Tensor, predictions: Tensor, agnostic: bool) -> int:
    """Compare a padded tensor with the lists that `nms` returns, and return the number of detections."""
    assert actual.shape == (len(predictions), 12, 6)
    expected = nms(predictions, **THRESHOLDS, agnostic=agnostic)
    for image, rows in zip(actual, expected, strict=True):
        torch.testing.assert_close(image[: len(rows)], rows, atol=1e-5, rtol=0)
        assert not image[len(rows) :].any()
    return sum(map(len, expected))


@pytest.mark.parametrize("agnostic", [False, True])
def test_onnx_selects_as_torch_does(tmp_path: Path, agnostic: bool) -> None:
    # 9 rows are fewer than the 12 detections of the output.
    axes = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    example = random_predictions(2, 50, 0)
    program = torch.export.export(Selection(agnostic), (example,), dynamic_shapes=(axes,))
    write_onnx(program, tmp_path / "a.onnx", DESCRIPTION)
    session = onnxruntime.InferenceSession(str(tmp_path / "a.onnx"))
    found = 0
    for seed, (count, rows) in enumerate(((1, 9), (1, 200), (3, 200), (2, 1000), (4, 40))):
        predictions = random_predictions(count, rows, seed)
        (output,) = session.run(None, {session.get_inputs()[0].name: predictions.numpy()})
        found += require_equal(torch.from_numpy(output), predictions, agnostic)
        require_equal(program.module()(predictions)[0], predictions, agnostic)
    assert found > 50


def test_images_without_detections() -> None:
    empty = torch.zeros(2, 7, 8)
    assert not select_detections(empty, **THRESHOLDS).any()
    assert select_detections(empty[:0], **THRESHOLDS).shape == (0, 12, 6)


def test_options_are_checked_before_the_iou_of_the_network_is_known() -> None:
    assert SelectionOptions(iou=0.5).baked(SuppressionDefaults(0.7, 0.7, 300)).iou == 0.5
    with pytest.raises(OptionError, match="`confidence` must be a number from 0 to 1, got"):
        SelectionOptions(confidence=1.5)
    with pytest.raises(OptionError, match="`iou` must be a number from 0 to 1, got -1"):
        SelectionOptions(iou=-1)


def test_the_operator_meets_torchs_rules() -> None:
    predictions = random_predictions(2, 30, 5)
    torch.library.opcheck(torch.ops.attendet.select_detections, (predictions, 0.3, 0.5, 12, False))
    with pytest.raises(OptionError, match=r"`iou` must be a number from 0 to 1, got 1\.5"):
        select_detections(predictions, iou=1.5)
