"""Exported files against the network in torch: predictions, detections, maps, mAP, and files that differ."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

import attendet
from attendet.api.exporting import export, export_files
from attendet.api.validation import validate
from attendet.data.loading.resizing import letterbox
from attendet.errors import OptionError
from attendet.exporting import Exported, ExportOptions
from attendet.models.detector import Detector
from attendet.runtimes.runtime_files import open_file
from attendet.training.run_folder import RunFolder
from attendet.weights.io import opening
from tests.helpers.typed_access import not_none

Export = Callable[..., Exported]


@pytest.fixture(scope="module")
def detector(run: RunFolder) -> Detector:
    return opening.open(run.best).detector


def predictions_of(detector: Detector, images: Tensor) -> Tensor:
    with torch.no_grad():
        return detector.decode(detector(images))


@pytest.mark.parametrize("file_format", ["onnx", "torch"])
def test_a_file_returns_the_predictions_of_torch_for_any_batch_and_size(
    exported: Export, detector: Detector, file_format: str
) -> None:
    result = exported(file_format)
    assert result.passes
    assert result.parity.real_images == 4
    runtime = open_file(result.path, "cpu")
    for shape in ((1, 3, 32, 32), (1, 3, 64, 64), (5, 3, 96, 160), (2, 3, 32, 320)):
        images = torch.rand(shape)
        torch.testing.assert_close(runtime.predict(images), predictions_of(detector, images), atol=1e-3, rtol=1e-4)


def test_parity_is_measured_on_several_canvases_and_batches(exported: Export) -> None:
    parity = exported("onnx").parity
    assert {len(shape) for shape in parity.inputs} == {4}
    assert len({shape[0] for shape in parity.inputs}) > 1
    assert len({shape[2:] for shape in parity.inputs}) > 1
    assert set(parity.differences) == {"boxes", "scores"}


def test_a_file_that_differs_is_kept_as_failed(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "best.onnx").write_text("an older file")
    result = export(run.path, out=tmp_path, tolerance=1e-12)
    assert not result.passes
    assert result.path.name == "best.onnx.failed"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.onnx", "best.onnx.failed"]
    assert (tmp_path / "best.onnx").read_text() == "an older file"
    assert any("differ by" in sentence for sentence in result.parity.failures)
    again = export(run.path, out=tmp_path)
    assert again.passes
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.onnx"]


def test_map_is_that_of_torch(exported: Export, run: RunFolder, data: Path) -> None:
    result = exported("onnx", data=data)
    quality = result.parity.quality
    assert quality is not None
    in_torch = validate(run.path, data, device="cpu").metrics.map50_95
    assert in_torch > 0.3
    assert quality.map_torch == pytest.approx(in_torch, abs=1e-9)
    assert quality.map_file == pytest.approx(in_torch, abs=1e-3)
    assert validate(result.path, data).metrics.map50_95 == pytest.approx(quality.map_file, abs=1e-9)


def test_a_static_file_takes_one_size_and_any_number_of_images(exported: Export, run: RunFolder) -> None:
    result = exported("onnx", static=True, imgsz=(64, 96), batch=2)
    runtime = open_file(result.path, "cpu")
    assert runtime.image_size == (64, 96)
    assert [axis.dim_value for axis in onnx.load(result.path).graph.input[0].type.tensor_type.shape.dim] == [
        2,
        3,
        64,
        96,
    ]
    images = torch.rand(5, 3, 64, 96)
    expected = predictions_of(opening.open(run.best).detector, images)
    torch.testing.assert_close(runtime.predict(images), expected, atol=1e-3, rtol=1e-4)
    with pytest.raises(OptionError, match="the width of images must be 96 pixels for this file, got 64"):
        runtime.predict(torch.rand(1, 3, 64, 64))


def test_a_static_file_letterboxes_as_torch_does(exported: Export, run: RunFolder) -> None:
    result = exported("onnx", static=True, imgsz=(64, 96), batch=2)
    generator = np.random.default_rng(0)
    options: dict[str, Any] = {"confidence": 0.05, "device": "cpu"}
    file = attendet.Predictor(result.path, **options)
    network = attendet.Predictor(run.path, imgsz=(64, 96), **options)
    for height, width in ((64, 96), (40, 300), (300, 40), (37, 61)):
        image = generator.integers(0, 255, (height, width, 3), np.uint8)
        image[height // 4 : height // 2, width // 4 : width // 2] = (255, 0, 0)
        canvas, _ = letterbox(image, (64, 96))
        assert canvas.shape == (64, 96, 3)
        found, expected = file(image), network(image)
        assert len(found) == len(expected)
        np.testing.assert_allclose(found.xyxy, expected.xyxy, atol=0.1)
    with pytest.raises(OptionError, match="`imgsz` must be 64,96 for a file that takes one size only, got 128"):
        attendet.Predictor(result.path, imgsz=128)


@pytest.mark.parametrize("agnostic", [False, True])
@pytest.mark.parametrize("file_format", ["onnx", "torch"])
def test_a_file_selects_the_detections_of_torch(
    exported: Export, run: RunFolder, data: Path, file_format: str, agnostic: bool
) -> None:
    result = exported(file_format, nms=True, confidence=0.1, iou=0.5, max_detections=20, agnostic=agnostic)
    assert result.passes
    assert result.parity.detections > 4
    assert result.parity.differing == 0
    options: dict[str, Any] = {
        "confidence": 0.1,
        "iou": 0.5,
        "max_detections": 20,
        "agnostic": agnostic,
        "device": "cpu",
    }
    expected, found = attendet.Predictor(run.path, **options), attendet.Predictor(result.path, device="cpu")
    images = sorted((data.parent / "val" / "images").glob("*.png"))
    for one, other in zip(expected.batch(images), found.batch(images), strict=True):
        assert len(one) == len(other) > 0
        np.testing.assert_allclose(other.xyxy, one.xyxy, atol=1e-2)
        np.testing.assert_allclose(not_none(other.confidence), not_none(one.confidence), atol=1e-4)
        np.testing.assert_array_equal(other.class_id, one.class_id)


def test_thresholds_in_the_file_limit_the_options(exported: Export, data: Path) -> None:
    file = exported("onnx", nms=True, confidence=0.1, iou=0.5, max_detections=20, agnostic=False).path
    image = next((data.parent / "val" / "images").glob("*.png"))
    strict = attendet.Predictor(file, confidence=0.6, max_detections=1)(image)
    assert len(strict) <= 1
    limits: list[tuple[dict[str, Any], str]] = [
        ({"confidence": 0.05}, "`confidence` must be at least 0.1 for a file that selects detections itself, got 0.05"),
        ({"iou": 0.45}, "`iou` must be 0.5 for a file that selects detections itself, got 0.45"),
        ({"max_detections": 21}, "`max_detections` must be at most 20"),
        ({"agnostic": True}, "`agnostic` must be False"),
    ]
    for options, message in limits:
        with pytest.raises(OptionError, match=message):
            attendet.Predictor(file, **options)
    (remark,) = (line for line in validate(file, data).remarks if "selects" in line)
    assert "confidence 0.1, IoU 0.5, at most 20" in remark


@pytest.mark.parametrize("file_format", ["onnx", "torch"])
def test_attention_can_be_left_out(exported: Export, detector: Detector, file_format: str) -> None:
    with_attention, without = exported(file_format), exported(file_format, attention=False)
    assert (with_attention.metadata.has_attention, without.metadata.has_attention) == (True, False)
    assert without.path.name == f"best-no-attention{with_attention.path.suffix}"
    images = torch.rand(2, 3, 64, 96)
    with attendet.disabled(detector):
        expected = predictions_of(detector, images)
    torch.testing.assert_close(open_file(without.path, "cpu").predict(images), expected, atol=1e-3, rtol=1e-4)
    assert not torch.allclose(expected, predictions_of(detector, images), atol=1e-2)
    # The weights of the attention are gone, and not multiplied by 1.
    assert without.size < with_attention.size


@pytest.mark.parametrize("file_format", ["onnx", "torch"])
def test_half_precision_is_half_as_large(exported: Export, file_format: str) -> None:
    full, half = exported(file_format), exported(file_format, half=True)
    assert half.passes
    assert half.metadata.precision == "float16"
    assert half.parity.differences["scores"] > full.parity.differences["scores"]
    if file_format == "onnx":
        graph = onnx.load(half.path).graph
        weights = {node.input[1] for node in graph.node if node.op_type == "Conv"}
        types = {tensor.data_type for tensor in graph.initializer if tensor.name in weights}
        assert types == {onnx.TensorProto.FLOAT16}


@pytest.mark.parametrize("file_format", ["onnx", "torch"])
def test_maps_in_a_file_equal_the_maps_of_torch(exported: Export, run: RunFolder, data: Path, file_format: str) -> None:
    result = exported(file_format, gates=True)
    assert result.passes
    assert {name for name in result.parity.differences if name.startswith("gates/")} == {
        "gates/model.5/channel",
        "gates/model.5/spatial",
    }
    image = next((data.parent / "val" / "images").glob("*.png"))
    (expected,) = attendet.explain(run.path, image)
    (found,) = attendet.explain(result.path, image)
    (there,), (here,) = expected.sites, found.sites
    assert here.to_dict().keys() == there.to_dict().keys()
    for name, values in there.arrays().items():
        np.testing.assert_allclose(here.arrays()[name], values, rtol=1e-3, atol=1e-5)
    assert (here.path, here.module, here.shape, here.join) == (there.path, there.module, there.shape, there.join)
    for part, other in zip(here.parts, there.parts, strict=True):
        assert (part.name, part.role, part.shape, part.range) == (other.name, other.role, other.shape, other.range)
        assert part.mean == pytest.approx(other.mean, abs=1e-5)
    detections, others = found.with_attention.detections, expected.with_attention.detections
    assert detections is not None
    assert others is not None
    assert len(detections) == len(others)
    assert found.without_attention.detections is None
    assert any("neither class activation maps" in note for note in found.notes)


def test_a_file_without_maps_cannot_be_explained(exported: Export, data: Path) -> None:
    image = next((data.parent / "val" / "images").glob("*.png"))
    with pytest.raises(OptionError, match="must return the maps of its attention to be explained, got none"):
        attendet.explain(exported("onnx").path, image)
    with pytest.raises(attendet.errors.UnknownNameError, match=r"unknown attention module 'model\.7'"):
        attendet.explain(exported("onnx", gates=True).path, image, site="model.7")


def test_the_description_tells_how_a_file_is_used(exported: Export, run: RunFolder) -> None:
    description = exported("onnx", gates=True).metadata
    stored = open_file(exported("onnx", gates=True).path, "cpu").description
    assert stored == description
    assert description.names == ("red", "blue")
    assert (description.imgsz, description.strides) == (64, (8.0, 16.0, 32.0))
    assert description.letterbox is not None
    assert description.text is not None
    assert "CBAM" in description.text
    assert {"attendet", "torch", "onnx", "onnxruntime", "python"} <= description.versions.keys()
    assert len(description.weights_digest) == 64
    assert description.weights_digest == exported("torch").metadata.weights_digest
    assert description.parity["passes"] is True
    # The model file in the description builds the same network.
    rebuilt = run.path / "again.yaml"
    rebuilt.write_text(description.text)
    with pytest.warns(attendet.AttendetWarning, match="leaves 1 of 16 channels"):
        again = attendet.build(str(rebuilt), num_classes=2)
    assert again.state_dict().keys() == opening.open(run.best).detector.state_dict().keys()


@pytest.mark.parametrize("file_format", ["onnx", "torch"])
def test_no_file_contains_paths_of_this_machine(exported: Export, file_format: str) -> None:
    for gates in (False, True):
        content = exported(file_format, gates=gates).path.read_bytes()
        for private in (str(Path(attendet.__file__).parent), "site-packages", str(Path.home()) + "/", "/tmp/"):  # noqa: S108
            assert private.encode() not in content


def test_options_that_contradict_each_other(run: RunFolder, tmp_path: Path) -> None:
    cases: list[tuple[str, dict[str, Any], str]] = [
        ("onnx", {"batch": 2}, "`batch` must be left out for a dynamic file, got 2; give `static` as well"),
        ("onnx", {"imgsz": (64, 96)}, "`imgsz` must be one number for a dynamic file, got 64,96"),
        ("onnx", {"imgsz": (64, 90), "static": True}, "must be multiples of 32, got 64,90"),
        ("onnx", {"gates": True, "attention": False}, "`gates` must be left out without attention"),
        ("onnx", {"nms": True, "gates": True}, "`gates` must be left out with `nms`"),
        ("onnx", {"opset": 11}, "`opset` must be 18 to 23, got 11"),
        ("onnx", {"tolerance": 0.0}, "`tolerance` must be a positive number, got 0.0"),
        ("ncnn", {"nms": True}, "`nms` must be left out for ncnn"),
        ("torch", {"int8": True}, "`int8` must be left out for torch"),
        ("coreml", {}, "unknown export format 'coreml'"),
    ]
    for file_format, options, message in cases:
        with pytest.raises(attendet.AttendetError, match=message):
            export(run.path, file_format, out=tmp_path / "none", **options)
    assert not (tmp_path / "none").exists()
    with pytest.raises(OptionError, match="`data` must be left out for a network that is not a detector"):
        list(export_files(nn.Conv2d(3, 4, 3), ["onnx"], options=ExportOptions(), data="data.yaml"))


def test_results_are_ready_for_json(exported: Export) -> None:
    result = exported("onnx")
    assert json.loads(json.dumps(result.to_dict()))["parity"]["passes"] is True
    assert repr(result) == f"Exported({str(result.path)!r}, passes=True)"
