"""Detections of a network on a split, measured and timed."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from attendet.data.formats.serialization import coco_result
from attendet.data.reading.data_source import DataSource
from attendet.data.reading.label_checks import drop_invalid
from attendet.data.records import ImageRecord, Split
from attendet.errors import OptionError
from attendet.evaluation.config import ValidationConfig
from attendet.evaluation.inference import batches, detect, ground_truth, prepare_for_inference
from attendet.evaluation.metrics import Evaluation, Metrics
from attendet.models.detector import Detector


@dataclass(frozen=True)
class Seconds:
    """Time per image by stage.

    Attributes:
        load: Reading and letterboxing.
        network: From pixels to raw maps.
        nms: From raw maps to detections.
    """

    load: float
    network: float
    nms: float


@dataclass(frozen=True)
class Validation:
    """What a validation gave.

    Attributes:
        metrics: How good the detections are.
        seconds: Time per image.
        records: The images, in the order they were taken.
        detections: By image (k, 6): x1, y1, x2, y2 in pixels of the image, confidence, class.
    """

    metrics: Metrics
    seconds: Seconds
    records: tuple[ImageRecord, ...]
    detections: tuple[Tensor, ...]


@torch.inference_mode()
def validate(
    detector: Detector,
    split: Split,
    imgsz: int,
    options: ValidationConfig | None = None,
    *,
    batch_size: int = 16,
    device: str = "cpu",
    half: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Validation:
    """Measure a network on a split.

    Batch norms are folded into convolutions first. Nothing depends on the machine's speed.

    Args:
        detector: The network; it is left as it is.
        split: The images, as training takes them.
        imgsz: Longer side of the images in pixels; a multiple of the largest stride.
        options: Thresholds.
        batch_size: Images per batch.
        device: Where to compute.
        half: Compute in 16 bits.
        progress: Called with (done, total) images.
    """
    options = options or ValidationConfig()
    model = prepare_for_inference(detector, device, torch.float16 if half else torch.float32)
    evaluation = Evaluation(split.names)
    records: list[ImageRecord] = []
    detections: list[Tensor] = []
    spent = [0.0, 0.0, 0.0]
    clock = time.perf_counter()
    for placed, images in batches(model, split, imgsz, batch_size):
        clock = _lap(spent, 0, clock)
        raw = model(images)
        if images.is_cuda:
            torch.cuda.synchronize()
        clock = _lap(spent, 1, clock)
        found = [boxes.cpu() for boxes in detect(model, raw, placed, options)]
        clock = _lap(spent, 2, clock)
        evaluation.update(found, [ground_truth(record) for record in placed.records])
        records += placed.records
        detections += found
        if progress:
            progress(len(records), len(split.records))
        clock = time.perf_counter()
    per_image = Seconds(*(part / max(1, len(records)) for part in spent))
    return Validation(evaluation.compute(), per_image, tuple(records), tuple(detections))


def images_for(
    names: tuple[str, ...], source: DataSource, split: str, progress: Callable[[int, int], None] | None = None
) -> Split:
    """Return the images of a data set for weights that were trained for these classes.

    Of weights whose only class is called object, which `--single-cls` makes, all classes are that one.

    Args:
        names: The classes of the weights, by number.
        source: The data set.
        split: Which part of it.
        progress: Called with (done, total) images.

    Raises:
        DataError: If the images cannot be read.
        OptionError: If the classes are others, with the first that differs.
    """
    images = drop_invalid(source.read(split, progress=progress), single_class=names == ("object",))
    if names == images.names:
        return images
    pairs = itertools.zip_longest(names, images.names, fillvalue="nothing")
    number, (trained, labeled) = next((at, pair) for at, pair in enumerate(pairs) if pair[0] != pair[1])
    raise OptionError(
        f"class {number} of the weights is {trained}, and of {source.file} {labeled}",
        remedy="name the classes in the data file in the order of training",
    )


def coco_detections(measured: Validation) -> list[dict[str, Any]]:
    """Return detections as COCO result files have them, with the image numbers of `coco_text`.

    Images count from 1 in the order of `records`, categories from 1 in that of the classes.
    """
    return [
        coco_result(number, str(record.image), int(category), box, confidence)
        for number, (record, boxes) in enumerate(zip(measured.records, measured.detections, strict=True), 1)
        for *box, confidence, category in boxes.tolist()
    ]


def _lap(spent: list[float], stage: int, clock: float) -> float:
    now = time.perf_counter()
    spent[stage] += now - clock
    return now
