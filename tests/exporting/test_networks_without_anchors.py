"""Files of a network without anchors and objectness: their predictions, detections, and 8-bit convolutions."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.ops import batched_nms, box_convert

from attendet.api.exporting import export
from attendet.data.loading.resizing import resize
from attendet.detection.suppression_defaults import SuppressionDefaults
from attendet.exporting.quantization import quantize_openvino
from attendet.exporting.quantization.openvino_int8 import decoding_operators
from attendet.models.detector import Detector
from attendet.runtimes.extras import require
from attendet.runtimes.runtime_files import open_file
from tests.helpers.calibrated_detector import NAMES, calibrated_detector, photographs

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def detector() -> Detector:
    return calibrated_detector("yolov8n")


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    pictures = np.stack([resize(image, 192)[:96, :160] for image in photographs()])
    return torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255


@pytest.fixture(scope="module")
def onnx_file(detector: Detector, tmp_path_factory: pytest.TempPathFactory) -> Path:
    exported = export(detector, out=tmp_path_factory.mktemp("onnx"), imgsz=96, names=NAMES)
    assert exported.passes
    return exported.path


def test_a_file_has_the_predictions_and_the_thresholds_of_the_network(
    detector: Detector, onnx_file: Path, images: torch.Tensor
) -> None:
    runtime = open_file(onnx_file, "cpu")
    assert runtime.suppression == SuppressionDefaults(0.7, 0.7, 300)
    for batch in (images, images[:1, :, :64, :64]):
        with torch.no_grad():
            boxes, scores = detector.decode(detector(batch)).split((4, 2), dim=2)
        found = runtime.predict(batch)
        torch.testing.assert_close(found[..., :4], boxes, atol=1e-2, rtol=1e-4)
        torch.testing.assert_close(found[..., 4:], scores, atol=1e-4, rtol=0)
        assert scores.std() > 0.1


def test_a_file_selects_detections_at_the_iou_of_its_family(
    detector: Detector, onnx_file: Path, images: torch.Tensor, tmp_path: Path
) -> None:
    exported = export(detector, out=tmp_path, imgsz=96, names=NAMES, nms=True)
    assert exported.passes
    assert exported.parity.detections > 20
    predictions = open_file(onnx_file, "cpu").predict(images)
    for rows, found in zip(predictions, open_file(exported.path, "cpu").predict(images), strict=True):
        best, classes = rows[:, 4:].max(1)
        boxes, is_candidate = box_convert(rows[:, :4], "cxcywh", "xyxy"), best > 0.25
        kept = batched_nms(boxes[is_candidate], best[is_candidate], classes[is_candidate], 0.7)
        expected = torch.cat([boxes, best[:, None], classes[:, None]], 1)[is_candidate][kept][:300]
        assert 10 < len(expected) < is_candidate.sum()
        torch.testing.assert_close(found[: len(expected)], expected, atol=1e-3, rtol=1e-4)
        assert not found[len(expected) :].any()


@pytest.mark.skipif(not all(map(find_spec, ("openvino", "nncf"))), reason="needs openvino and nncf")
def test_the_branches_are_quantized_and_the_decoding_is_not(
    onnx_file: Path, images: torch.Tensor, tmp_path: Path
) -> None:
    core = require("openvino", "int8", "test").Core()
    model = core.read_model(onnx_file)
    names = set(decoding_operators(model))
    operators = {operator.get_friendly_name(): operator for operator in model.get_ops()}
    before = {
        source.get_node().get_friendly_name() for name in names for source in operators[name].input_values()
    } - names
    types = [operators[name].get_type_name() for name in before]
    # Two branches at three levels.
    assert types.count("Convolution") == 6
    assert "Softmax" in {operators[name].get_type_name() for name in names}
    quantize_openvino(onnx_file, tmp_path / "int8.xml", [image[None].numpy() for image in images])
    quantized = core.read_model(tmp_path / "int8.xml")
    after = {operator.get_friendly_name(): operator.get_type_name() for operator in quantized.get_ops()}
    assert list(after.values()).count("FakeQuantize") > 50
    assert not [name for name in decoding_operators(quantized) if after[name] == "FakeQuantize"]
