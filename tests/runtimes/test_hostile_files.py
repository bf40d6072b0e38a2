"""ONNX files whose description does not fit them: one error, and no memory or time is lost."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import attendet
from attendet import runtimes
from attendet.errors import OptionError, WeightsError
from attendet.runtimes.onnx_session import onnx_providers

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

SUPPRESSION = {"prediction_iou": 0.45, "validation_iou": 0.6, "max_detections": 1000}
DESCRIPTION: dict[str, Any] = {
    "kind": "detector",
    "names": ["cell"],
    "imgsz": 64,
    "strides": [32.0],
    "suppression": SUPPRESSION,
    "outputs": ["predictions", "map"],
    "weights_digest": "",
    "versions": {},
}
SITE: dict[str, Any] = {
    "path": "neck",
    "module": "CBAM",
    "channels": 3,
    "join": "product",
    "maps": {"before": "map", "after": "map"},
    "spatial_kind": "weight",
    "channel_kind": "weight",
    "parts": [],
}
SELECTION = {"confidence": 0.2, "iou": 0.5, "max_detections": 1, "agnostic": False}
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes a file with one row for each image: the means of three colors, again and again."""

    def write(columns: int = 5, first: str = "predictions", **changes: Any) -> Path:
        helper, numbers = onnx.helper, onnx.TensorProto.FLOAT
        nodes = [
            helper.make_node("ReduceMean", ["images"], ["means"], keepdims=0, axes=[2, 3]),
            helper.make_node("Concat", ["means", "means"], ["pairs"], axis=1),
            helper.make_node("Slice", ["pairs", "start", "end", "axis"], ["row"]),
            helper.make_node("Unsqueeze", ["row", "axis"], [first]),
            helper.make_node("ReduceMean", ["images"], ["map"], keepdims=0, axes=[1]),
        ]
        graph = helper.make_graph(
            nodes,
            "detector",
            [helper.make_tensor_value_info("images", numbers, ["n", 3, "h", "w"])],
            [
                helper.make_tensor_value_info(first, numbers, ["n", 1, columns]),
                helper.make_tensor_value_info("map", numbers, ["n", "h", "w"]),
            ],
            [
                helper.make_tensor(name, onnx.TensorProto.INT64, [1], [value])
                for name, value in (("start", 0), ("end", columns), ("axis", 1))
            ],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        helper.set_model_props(model, {"attendet": json.dumps({**DESCRIPTION, **changes})})
        onnx.save(model, tmp_path / "a.onnx")
        return tmp_path / "a.onnx"

    return write


def test_the_file_itself_runs(write: Write) -> None:
    images = torch.rand(2, 3, 64, 32)
    means = images.mean(dim=(2, 3))
    rows = runtimes.open(write(), "cpu").predict(images)
    torch.testing.assert_close(rows, torch.cat([means, means[:, :2]], dim=1)[:, None])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strides": []}, "`strides` must not be empty for a detector"),
        ({"strides": [0.3]}, "`strides.0`: input should be greater than or equal to 1"),
        ({"strides": [float("nan")]}, "`strides.0`: input should be less than or equal to 8192"),
        ({"names": []}, "`names` must not be empty for a detector"),
        ({"imgsz": None}, "`imgsz` must not be empty for a detector"),
        ({"outputs": []}, "`outputs`: tuple should have at least 1 item"),
        ({"outputs": ["map"]}, "the first of `outputs` must be 'predictions', got 'map'"),
        ({"selection": SELECTION}, "the first of `outputs` must be 'detections', got 'predictions'"),
        ({"shape": {"batch": 10**12, "height": 64, "width": 64}}, "`shape.batch`: input should be less than"),
        ({"shape": {"batch": 2**16, "height": 512, "width": 512}}, "`shape`: images of a batch must have at most"),
        ({"shape": {"height": 64}}, "`shape` must have both height and width, or neither"),
        ({"shape": {"batch": 2**16}, "imgsz": 640}, "images of a batch must have at most"),
        ({"shape": {"batch": 1, "height": 64, "width": 50}}, "height and width in `shape` must be multiples"),
        ({"decoding": {"anchors": [[[1, 2]], [[3, 4]]]}}, "`anchors` must have the same number of anchors for each"),
        ({"decoding": {"anchors": [[[1, 2]], [[3, 4], [5, 6]]]}}, ".*`anchors` must have the same number of anchors"),
        ({"decoding": {"anchors": [[[1, float("inf")]]]}}, ".*`anchors` must be positive and finite"),
        ({"decoding": {"anchors": [[[1, float("nan")]]]}}, ".*`anchors` must be positive and finite"),
        ({"decoding": {"anchors": [[[1, 0]]]}}, ".*`anchors` must be positive and finite"),
        ({"decoding": {"anchors": []}}, ".*`anchors` must be positive and finite"),
        ({"decoding": {"bins": 0}}, ".*`bins` must be 1 to 64, got 0"),
        ({"decoding": {"bins": 10**9}}, ".*`bins` must be 1 to 64, got 1000000000"),
        ({"decoding": {"bins": 16, "anchors": [[[1, 2]]]}}, ".*"),
        ({"suppression": {**SUPPRESSION, "prediction_iou": 1.5}}, "`suppression`: thresholds must be 0 to 1"),
        ({"suppression": {**SUPPRESSION, "validation_iou": float("nan")}}, "`suppression`: thresholds must be 0 to 1"),
        ({"suppression": {**SUPPRESSION, "max_detections": 0}}, "`suppression`: .*`max_detections` must be positive"),
        ({"suppression": None}, ".*`suppression` must be given for a detector"),
    ],
)
def test_a_description_that_is_not_possible(write: Write, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(WeightsError, match=f"a.onnx: the description of the network is damaged: {message}"):
        attendet.Predictor(write(**changes), device="cpu")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"outputs": ["predictions", "nothing"]}, r"the network fails for images .*nothing"),
        ({"names": ["cell", "wall"]}, r"must return numbers \(1, rows, 6\) for 2 classes, got \(1, 1, 5\)"),
        ({"columns": 4}, r"must return numbers \(1, rows, 5\) for 1 classes, got \(1, 1, 4\)"),
    ],
)
def test_outputs_that_the_description_does_not_have(write: Write, options: dict[str, Any], message: str) -> None:
    predictor = attendet.Predictor(write(**options), device="cpu", classes=["cell"])
    with pytest.raises(WeightsError, match=f"a.onnx: .*{message}"):
        predictor(np.full((64, 64, 3), 255, np.uint8))


@pytest.mark.parametrize("value", [1.5, -0.5, float("nan")])
def test_classes_that_do_not_exist(write: Write, value: float) -> None:
    file = write(columns=6, first="detections", outputs=["detections"], selection=SELECTION)
    with pytest.raises(WeightsError, match="detections must have classes from 0 to 0"):
        runtimes.open(file, "cpu").predict(torch.full((1, 3, 64, 64), value))


def test_maps_of_another_shape(write: Write) -> None:
    image = np.zeros((40, 64, 3), np.uint8)
    (explanation,) = attendet.explain(write(gates=[SITE]), image)
    assert explanation.sites[0].path == "neck"
    for maps in (
        {"before": "map", "after": "map", "channels": "map"},
        {"before": "map", "after": "x"},
        {"after": "map"},
    ):
        with pytest.raises(WeightsError, match=r"a\.onnx: the maps of attention must be outputs of the file"):
            attendet.explain(write(gates=[{**SITE, "maps": maps}]), image)


def test_a_size_that_a_static_file_does_not_take_cannot_be_explained(write: Write) -> None:
    file = write(gates=[SITE], shape={"batch": 1, "height": 64, "width": 32})
    with pytest.raises(OptionError, match="`imgsz` must be 64,32 for a file that takes one size only, got 96"):
        attendet.explain(file, np.zeros((40, 64, 3), np.uint8), imgsz=96)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((0, 3, 64, 64), r"must have the shape \(N, 3, H, W\) with N of at least 1, got \(0, 3, 64, 64\)"),
        ((3, 64, 64), r"must have the shape \(N, 3, H, W\)"),
        ((1, 4, 64, 64), r"must have the shape \(N, 3, H, W\)"),
        ((1, 3, 50, 64), "height and width of `images` must be multiples of 32 pixels, got 50,64"),
    ],
)
def test_images_of_another_shape(write: Write, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        runtimes.open(write(), "cpu").predict(torch.zeros(shape))


def test_the_gpu_that_is_named_computes() -> None:
    available = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    for device, index in (("auto", 0), ("cuda", 0), ("1", 1), ("cuda:2", 2)):
        assert onnx_providers(device, available)[0] == ("CUDAExecutionProvider", {"device_id": index})
    assert onnx_providers("cpu", available) == onnx_providers("auto", ["CPUExecutionProvider"])
    for device, providers in (("tpu", available), ("0", ["CPUExecutionProvider"])):
        with pytest.raises(OptionError, match="`device` must be"):
            onnx_providers(device, providers)
