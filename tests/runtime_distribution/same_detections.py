"""Comparison of the detections of two programs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def assert_same_objects(
    found: Sequence[Mapping[str, Any]], expected: Sequence[Mapping[str, Any]], pixels: float
) -> None:
    """Assert that two programs found the same objects; only objects of equal confidence may have another order.

    Args:
        found: Detections with `name`, `confidence`, and `box`.
        expected: Detections of the other program.
        pixels: Largest difference of a side of a box in pixels.
    """
    assert len(found) == len(expected)
    assert [each["confidence"] for each in found] == sorted((each["confidence"] for each in found), reverse=True)
    boxes, expected_boxes = (np.array([each["box"] for each in side]).reshape(-1, 4) for side in (found, expected))
    is_near = np.abs(boxes[:, None] - expected_boxes).max(-1, initial=0) <= pixels
    for mine, others in zip(found, is_near, strict=True):
        same = [each for each, near in zip(expected, others, strict=True) if near and each["name"] == mine["name"]]
        assert any(abs(each["confidence"] - mine["confidence"]) < 1e-4 for each in same), (mine, same)
    assert is_near.any(0).all()
