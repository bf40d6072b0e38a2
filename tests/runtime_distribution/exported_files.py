"""ONNX files with descriptions: an exported detector, and small graphs whose outputs are known."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from attendet.detection.suppression_defaults import SuppressionDefaults
from attendet.models.bundled import bundled_text
from attendet.models.detector import Detector, prepare_for_inference
from attendet.runtimes.file_description import METADATA_KEY, BakedSelection, FileDescription, InputShape, LetterboxRule
from attendet.runtimes.network_description import describe_detector
from attendet.weights.io.model_card import ModelCard
from tests.helpers.calibrated_detector import NAMES

IMGSZ = 192


class _Decoded(nn.Module):
    """A detector whose output is decoded."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, images: Tensor) -> Tensor:
        return self.detector.decode(self.detector(images))


def export_detector(detector: Detector, path: Path) -> Path:
    """Write a detector as an ONNX file that takes any number and size of images, with its description."""
    network = _Decoded(prepare_for_inference(detector, torch.device("cpu")).to(memory_format=torch.contiguous_format))
    axes = {"images": {0: "batch", 2: "height", 3: "width"}}
    with warnings.catch_warnings():
        # The exporter uses functions that torch itself has deprecated.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network.train(False),
            (torch.rand(2, 3, 128, 192),),
            dynamo=True,
            opset_version=20,
            input_names=["images"],
            output_names=["predictions"],
            dynamic_shapes=axes,
            verbose=False,
        )
    assert program is not None
    program.save(str(path))
    card = ModelCard("yolov5n", bundled_text("yolov5n"), "auto", NAMES, IMGSZ)
    return with_description(path, path, describe_detector(detector, card))


def with_description(source: Path, path: Path, description: FileDescription | str) -> Path:
    """Copy an ONNX file, with a description in its metadata."""
    model = onnx.load(source)
    text = description if isinstance(description, str) else description.to_json()
    helper.set_model_props(model, {METADATA_KEY: text})
    onnx.save(model, path)
    return path


def small_description(**changes: Any) -> FileDescription:
    """Return the description of a detector with two classes and one stride of 32 pixels."""
    values: dict[str, Any] = {
        "kind": "detector",
        "names": NAMES,
        "imgsz": 64,
        "strides": (32.0,),
        "letterbox": LetterboxRule(),
        "suppression": SuppressionDefaults(0.45, 0.6, 1000),
        "outputs": ("predictions",),
        "weights_digest": "",
        "versions": {},
    }
    return FileDescription(**(values | changes))


def fixed_description(height: int, width: int, **changes: Any) -> FileDescription:
    """Return the description of a file that takes one shape of images."""
    shape = InputShape(height=height, width=width)
    return small_description(shape=shape, letterbox=LetterboxRule(canvas="fixed"), **changes)


def baked_description(confidence: float = 0.25, iou: float = 0.45, most: int = 4, **changes: Any) -> FileDescription:
    """Return the description of a file with non-maximum suppression."""
    selection = BakedSelection(confidence=confidence, iou=iou, max_detections=most, agnostic=False)
    return small_description(selection=selection, outputs=("detections",), **changes)


def write_constant_graph(path: Path, outputs: Mapping[str, NDArray[np.float32]], description: FileDescription) -> Path:
    """Write an ONNX file whose outputs do not depend on the image, except that they have one row per image.

    Args:
        path: The file.
        outputs: Value of each output for one image.
        description: The description in its metadata.
    """
    batch = description.shape.batch
    image = helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch or "batch", 3, "height", "width"])
    zero = numpy_helper.from_array(np.zeros(1, np.float32), "zero")
    nodes = [
        helper.make_node("ReduceMean", ["images", "axes"], ["means"], keepdims=0),
        helper.make_node("Mul", ["means", "zero"], ["zeros"]),
    ]
    initializers = [zero, numpy_helper.from_array(np.array([1, 2, 3], np.int64), "axes")]
    infos = []
    for name, value in outputs.items():
        shape = numpy_helper.from_array(np.array([-1, *[1] * value.ndim], np.int64), f"{name}.shape")
        initializers += [numpy_helper.from_array(value[None].astype(np.float32), f"{name}.value"), shape]
        nodes += [
            helper.make_node("Reshape", ["zeros", f"{name}.shape"], [f"{name}.zeros"]),
            helper.make_node("Add", [f"{name}.value", f"{name}.zeros"], [name]),
        ]
        infos.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *value.shape]))
    graph = helper.make_graph(nodes, "constant", [image], infos, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    helper.set_model_props(model, {METADATA_KEY: description.to_json()})
    onnx.save(model, path)
    return path
