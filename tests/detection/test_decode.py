"""Decoding of low-precision maps; whole models are compared with the oracles in tests/models."""

import torch

from attendet.detection.anchor_decoding import decode_anchors


def test_low_precision_maps_are_decoded_in_float32() -> None:
    raw = torch.randn(1, 3, 80, 80, 6, generator=torch.Generator().manual_seed(0)).bfloat16()
    anchors = torch.tensor([[[10.0, 13.0], [16.0, 30.0], [33.0, 23.0]]])
    boxes = decode_anchors([raw], anchors, [8.0])
    assert boxes.dtype == torch.float32
    torch.testing.assert_close(boxes, decode_anchors([raw.float()], anchors, [8.0]))
    # The last cell of the first anchor: (2σ − 0.5 + 79) · 8.
    x, y = (8 * (2 * torch.sigmoid(raw[0, 0, 79, 79, :2].double()) - 0.5 + 79)).tolist()
    torch.testing.assert_close(boxes[0, 6399, :2], torch.tensor([x, y]))
