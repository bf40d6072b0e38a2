"""Drawn boxes and labels, checked by their pixels."""

import numpy as np
import supervision as sv

from attendet.prediction.drawing import DrawingStyle, draw_detections
from tests.helpers.calibrated_detector import NAMES


def test_boxes_are_drawn_at_their_place_in_one_color_per_class() -> None:
    gray = np.full((300, 400, 3), 128, np.uint8)
    boxes = np.array([[20.0, 100, 120, 200], [150.0, 100, 250, 200], [280.0, 100, 380, 200]])
    found = sv.Detections(boxes, confidence=np.array([0.9, 0.8, 0.7]), class_id=np.array([0, 1, 0]))
    drawn = draw_detections(gray, found, NAMES, DrawingStyle(thickness=3, labels=False))
    sides = [drawn[150, int(x)] for x in boxes[:, 0]]
    expected = [sv.ColorPalette.DEFAULT.by_idx(number).as_rgb() for number in (0, 1, 0)]
    assert [tuple(side) for side in sides] == expected
    assert all((drawn[150, int(x) + 50] == 128).all() for x in boxes[:, 0])
    changed = np.argwhere((drawn != 128).any(axis=-1))
    np.testing.assert_allclose(changed.min(axis=0), [100, 20], atol=2)
    np.testing.assert_allclose(changed.max(axis=0), [200, 380], atol=2)


def test_labels_stay_inside_the_image() -> None:
    gray = np.full((200, 300, 3), 128, np.uint8)
    box = np.array([[290.0, 2, 298, 60]])
    found = sv.Detections(box, confidence=np.array([0.9]), class_id=np.array([1]))
    color = sv.ColorPalette.DEFAULT.by_idx(1).as_rgb()
    plain, full = (draw_detections(gray, found, NAMES, DrawingStyle(labels=labels)) for labels in (False, True))
    label = np.argwhere((plain != full).any(axis=-1))
    filled = (full[: label.max(axis=0)[0] + 1] == color).all(axis=-1).sum()
    text = (full < 60).all(axis=-1).sum() + (full > 200).all(axis=-1).sum()
    assert filled > 500, "the background of the label is cut off"
    assert text > 50, "the label has text"
    short = draw_detections(gray, found, NAMES, DrawingStyle(confidence=False))
    assert np.argwhere((plain != short).any(axis=-1)).min(axis=0)[1] > label.min(axis=0)[1]


def test_every_class_has_a_color_of_its_own() -> None:
    names = [str(number) for number in range(80)]
    found = sv.Detections(np.array([[2.0, 2, 9, 9]]), class_id=np.array([0]), confidence=np.array([1.0]))
    colors = set()
    for number in range(80):
        found.class_id = np.array([number])
        drawn = draw_detections(np.zeros((12, 12, 3), np.uint8), found, names, DrawingStyle(thickness=1, labels=False))
        colors.add(tuple(drawn[2, 5].tolist()))
    assert len(colors) == 80
