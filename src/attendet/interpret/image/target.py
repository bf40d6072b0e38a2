"""Which detection, or which class, class activation maps explain."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn

from attendet.interpret.image.answer import Answer, class_name, class_number, is_scores
from attendet.interpret.image.cam import (
    Target,
    class_score,
    detection_score,
    layer_of_class,
    layer_of_detection,
    level_of,
)
from attendet.interpret.image.question import Question
from attendet.models.detector import Detector


def target_of(
    model: nn.Module, output: object, answer: Answer, seen: dict[str, tuple[int, ...]], question: Question
) -> tuple[Target | None, str]:
    """Return what class activation maps explain, and a sentence where that is nothing."""
    if isinstance(model, Detector) and isinstance(output, tuple):
        return _target_detection(model, output, answer, seen, question)
    layer = layer_of_class(seen)
    if not isinstance(output, Tensor) or not is_scores(model, output) or layer is None:
        return None, "The network's output is neither detections nor classes: its attention alone is shown."
    best = int(output[0].argmax())
    wanted = question.class_name
    number = best if wanted is None else class_number(wanted, question.names, output.shape[1])
    words = f"class {class_name(number, question.names)}"
    return Target(words, layer, partial(class_score, number)), ""


def _target_detection(
    model: Detector, raw: Sequence[Tensor], answer: Answer, seen: dict[str, tuple[int, ...]], question: Question
) -> tuple[Target | None, str]:
    found = answer.detections
    if found is None or found.class_id is None or found.confidence is None:
        return None, ""
    wanted = question.class_name
    number = None if wanted is None else class_number(wanted, question.names, model.num_classes)
    places = [place for place, each in enumerate(found.class_id.tolist()) if number in (None, each)]
    if len(places) < question.detection:
        of_class = "" if wanted is None else f" of class {wanted}"
        least = f"confidence {question.thresholds.confidence:g}"
        return None, f"No detection {question.detection}{of_class} at {least} (there are {len(places)}): no CAM."
    place = places[question.detection - 1]
    level, cell = level_of(raw, int(found.data["row"][place]))
    layer = layer_of_detection(model, seen, raw[level].shape[2:4])
    words = f"{found.data['class_name'][place]} {found.confidence[place]:.2f}"
    score = partial(detection_score, level, cell, int(found.class_id[place]))
    return Target(words, layer, score, place + 1), ""
