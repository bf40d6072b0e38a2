"""Bundled YOLOv8 and YOLO11 models against the originals: keys, shapes, parameters, and raw and decoded outputs."""

from collections.abc import Callable

import pytest
import torch

import attendet
from attendet.blocks import DFL, AnchorFreeDetect
from attendet.blocks.conv_bn_fusion import fuse_conv_bn
from tests.helpers.oracles import Oracle, oracle_weights, yolo_images

CASES = {"yolov8n": ("yolov8n", None), "yolov8n_nc3": ("yolov8n", 3), "yolo11n": ("yolo11n", None)}
BINS = 4 * 16


@pytest.mark.parametrize("name", CASES)
@torch.no_grad()
def test_equal_to_the_original(oracle: Callable[[str], Oracle], name: str, device: torch.device) -> None:
    expected, (model, num_classes) = oracle(name), CASES[name]
    detector = attendet.build(model, num_classes=num_classes)
    state = detector.state_dict()
    shapes = {key: [list(value.shape), str(value.dtype).removeprefix("torch.")] for key, value in state.items()}
    assert shapes == expected.settings["state_dict"]
    assert sum(parameter.numel() for parameter in detector.parameters()) == expected.settings["params"]
    assert list(detector.strides) == expected.settings["stride"]

    weights = oracle_weights(state, ".bn.weight")
    dfl = next(key for key in state if key.endswith("dfl.conv.weight"))
    detector.load_state_dict({**weights, dfl: state[dfl]})
    images = yolo_images().to(device)
    for network in (detector, fuse_conv_bn(detector)):
        raw = network.to(device).train(False)(images)
        points = torch.cat([level.flatten(2) for level in raw], dim=2).cpu()
        assert expected.difference("aux_boxes", points[:, :BINS]) < 1e-4
        assert expected.difference("aux_scores", points[:, BINS:]) < 1e-4
        assert expected.difference("decoded", network.decode(raw).transpose(1, 2).cpu()) < 1e-4
        logits = torch.cat(network.head.class_logits(raw), dim=1).transpose(1, 2).cpu()
        assert expected.difference("aux_scores", logits) < 1e-4


@pytest.mark.parametrize("name", ["yolov8n", "yolo11n"])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@torch.no_grad()
def test_memory_formats_agree_and_both_modes_return_raw_maps(name: str, layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    detector = attendet.build(name, num_classes=2)
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
def test_the_distribution_block_of_the_state_dict_agrees_with_decoding() -> None:
    torch.manual_seed(0)
    head = AnchorFreeDetect(2, channels=[16], strides=[8.0])
    raw = [4 * torch.randn(1, BINS + 2, 3, 5)]
    distributions = raw[0][:, :BINS].flatten(2).unflatten(1, (4, -1)).softmax(2)
    left, top, right, bottom = head.dfl.conv(distributions.transpose(1, 2))[0, 0]
    x, y, width, height = head.decode(raw)[0, :, :4].T
    torch.testing.assert_close(width, (left + right) * 8)
    torch.testing.assert_close(height, (top + bottom) * 8)
    columns, rows = torch.arange(5).repeat(3) + 0.5, torch.arange(3).repeat_interleave(5) + 0.5
    torch.testing.assert_close(x, (columns + (right - left) / 2) * 8)
    torch.testing.assert_close(y, (rows + (bottom - top) / 2) * 8)


def test_the_distribution_block_is_not_trained() -> None:
    assert not any(parameter.requires_grad for parameter in DFL().parameters())


def test_initial_biases_are_the_published_ones() -> None:
    head = AnchorFreeDetect(4, channels=[16, 16], strides=[8.0, 16.0])
    assert head.cv2[1].get_parameter("2.bias").unique().tolist() == [1.0]
    # 640 / 16 = 40 cells on a side, five objects among 1,600 cells, four classes.
    torch.testing.assert_close(head.cv3[1].get_parameter("2.bias").exp().mul(1600 * 4), torch.full((4,), 5.0))
