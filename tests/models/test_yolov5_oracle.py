"""Bundled YOLOv5 models against the original: keys, shapes, parameters, and raw and decoded outputs."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch

import attendet
from attendet.blocks.conv_bn_fusion import fuse_conv_bn
from attendet.detection import decode_anchors
from tests.helpers.oracles import Oracle, oracle_weights, yolo_images
from tests.helpers.typed_access import tensor

CASES = {"yolov5n": ("yolov5n", None), "yolov5s": ("yolov5s", None), "yolov5n_nc3": ("yolov5n", 3)}


def expected_anchors(settings: Mapping[str, Any]) -> torch.Tensor:
    """Return the anchors of the original in pixels."""
    return torch.tensor(settings["anchors_over_stride"]) * torch.tensor(settings["stride"])[:, None, None]


@pytest.mark.parametrize("name", CASES)
def test_equal_to_the_original(oracle: Callable[[str], Oracle], name: str, device: torch.device) -> None:
    expected, (model, num_classes) = oracle(name), CASES[name]
    settings = expected.settings
    detector = attendet.build(model, num_classes=num_classes)
    state = detector.state_dict()
    shapes = {key: [list(value.shape), str(value.dtype).removeprefix("torch.")] for key, value in state.items()}
    assert shapes == settings["state_dict"]
    assert sum(parameter.numel() for parameter in detector.parameters()) == settings["params"]
    assert list(detector.strides) == settings["stride"]
    torch.testing.assert_close(tensor(detector.head, "anchors"), torch.tensor(settings["anchors_over_stride"]))

    detector.load_state_dict(oracle_weights(state, ".bn.weight"))
    images = yolo_images().to(device)
    for model in (detector, fuse_conv_bn(detector)):
        raw = model.to(device).train(False)(images)
        for level, output in enumerate(raw):
            assert expected.difference(f"raw{level}", output.cpu()) < 1e-4
        decoded = decode_anchors(raw, expected_anchors(settings).to(device), model.strides)
        assert expected.difference("decoded", decoded.cpu()) < 1e-4
        torch.testing.assert_close(model.decode(raw)[..., 4:], decoded[..., 5:] * decoded[..., 4:5])
        torch.testing.assert_close(model.decode(raw)[..., :4], decoded[..., :4])


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@torch.no_grad()
def test_memory_formats_agree_and_both_modes_return_raw_maps(layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    detector = attendet.build("yolov5n_CBAM", num_classes=2)
    images = torch.rand(2, 3, 64, 96)
    in_training = detector(images)
    detector.train(False)
    expected = detector(images)
    raw = detector.to(memory_format=layout)(images.to(memory_format=layout))
    for level, reference, trained in zip(raw, expected, in_training, strict=True):
        torch.testing.assert_close(level, reference, rtol=1e-4, atol=1e-4)
        assert level.shape == trained.shape
    lowered = detector.bfloat16()(images.bfloat16())
    assert all(level.dtype == torch.bfloat16 for level in lowered)


@torch.no_grad()
def test_a_detector_can_be_compiled_and_exported_without_graph_breaks() -> None:
    torch.manual_seed(0)
    detector = attendet.build("yolov5n_CBAM-C3", num_classes=2).train(False)
    images = torch.rand(1, 3, 64, 96)
    expected = detector(images)
    compiled = torch.compile(detector, backend="aot_eager", fullgraph=True)
    exported = torch.export.export(detector, (images,)).module()
    for raw in (compiled(images), exported(images)):
        for level, reference in zip(raw, expected, strict=True):
            torch.testing.assert_close(level, reference)
