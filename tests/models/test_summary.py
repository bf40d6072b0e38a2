"""Numbers of the summary against independent counts."""

import pytest
import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

import attendet
from attendet.errors import OptionError
from attendet.models.costs import count_pass
from attendet.models.summary import summarize
from tests.helpers.typed_access import tensor


def test_rows_describe_what_the_network_does() -> None:
    summary = summarize("yolov5s_CBAM", imgsz=320, num_classes=3)
    detector = attendet.build("yolov5s_CBAM", num_classes=3).train(False)
    shapes: list[list[int]] = []
    operations: list[int] = []

    def count(layer: nn.Module, _: object, output: torch.Tensor) -> None:
        # Each element of the output is a sum over the weights of its channel.
        operations.append(2 * tensor(layer, "weight")[0].numel() * output.numel())

    for module in detector.model:
        module.register_forward_hook(
            lambda *given: shapes.append(list(given[2][0].shape if isinstance(given[2], tuple) else given[2].shape))
        )
    for module in detector.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    detector(torch.zeros(1, 3, 320, 320))
    assert [row.shape for row in summary.rows[:-1]] == [shape[1:] for shape in shapes[:-1]]
    assert summary.rows[-1].shape == [[3, 40, 40, 8], [3, 20, 20, 8], [3, 10, 10, 8]]
    assert summary.rows[-1].stride == [8.0, 16.0, 32.0]
    assert [row.parameters for row in summary.rows] == [
        sum(parameter.numel() for parameter in module.parameters()) for module in detector.model
    ]
    assert summary.gflops * 1e9 == sum(operations)
    assert sum(row.flops_fraction for row in summary.rows) == pytest.approx(1)
    assert [row.row for row in summary.rows if row.attention] == [9]
    assert summary.findings == []


def test_a_map_that_two_rows_save_is_counted_once() -> None:
    detector = attendet.build("yolov5n").to("meta")
    weights = {value.untyped_storage()._cdata for value in detector.parameters()}
    saved: dict[int, torch.UntypedStorage] = {}

    def save(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights:
            saved[storage._cdata] = storage
        return tensor

    with saved_tensors_hooks(save, lambda tensor: tensor):
        detector.train()(torch.empty(2, 3, 64, 64, device="meta", requires_grad=True))
    summary = summarize("yolov5n", imgsz=64)
    assert summary.activation_bytes == sum(storage.nbytes() for storage in saved.values()) / 2
    assert summary.activation_bytes == sum(row.activation_bytes for row in summary.rows)


def test_saved_bytes_counted_by_hand() -> None:
    with torch.device("meta"):
        # ReLU saves its output and the convolution its input; the weights are not counted.
        block = nn.Sequential(nn.Conv2d(4, 8, 3, padding=1, bias=False), nn.ReLU())
        cost, output = count_pass(block, torch.empty(1, 4, 10, 10, requires_grad=True))
    assert isinstance(output, torch.Tensor)
    assert output.shape == (1, 8, 10, 10)
    assert cost.activation_bytes == 4 * (4 * 100 + 8 * 100)
    assert cost.flops == 2 * 8 * 4 * 9 * 100


@pytest.mark.parametrize(("size", "nearest"), [(650, 640), (16, 32), (0, 32)])
def test_an_image_size_that_does_not_fit_the_strides_is_refused(size: int, nearest: int) -> None:
    with pytest.raises(OptionError, match=f"use {nearest}"):
        summarize("yolov5n", imgsz=size)


def test_a_summary_shows_itself() -> None:
    summary = summarize("yolov5n_CBAM")
    text = str(summary)
    lines = text.splitlines()
    assert lines[0] == "yolov5n_CBAM, 80 classes, 640 px"
    assert lines[1].split()[:3] == ["row", "from", "n"]
    assert lines[11].split()[:3] == ["9", "*", "-1"]
    assert "26 rows, 1,880,447 parameters, 4.47 GFLOPs" in text
    assert "* row 9 CBAM: 256 channels (declared: 256); reduction 16, kernel_size 7" in text
    assert repr(summary) == (
        "ModelSummary('yolov5n_CBAM', imgsz=640, num_classes=80, parameters=1,880,447, gflops=4.47)"
    )
    assert summary._repr_html_().count("<tr>") == 27
    assert summary.to_dict()["rows"][9]["module"] == "CBAM"
