"""Validation: the quality and the speed of a network on a split of a data set."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from attendet.data.coco_ids import CocoIds
from attendet.data.formats.serialization import coco_result
from attendet.data.label_counts import LabelCounts
from attendet.data.loading.resizing import ImageSize
from attendet.data.reading.data_source import DataSource
from attendet.data.reading.label_checks import drop_invalid, require_labels
from attendet.data.records import ImageRecord, Split
from attendet.data.remarks import image_remarks
from attendet.errors import OptionError
from attendet.evaluation.config import ValidationConfig
from attendet.evaluation.inference import detect_in_batch, ground_truth, validation_batches
from attendet.evaluation.metrics import Evaluation, Metrics
from attendet.models.detector import Detector
from attendet.runtimes.file_description import BakedSelection
from attendet.runtimes.protocol import Runtime
from attendet.runtimes.torch_runtime import TorchRuntime
from attendet.utils.html import Markup, escape
from attendet.weights.io.model_card import ModelCard


@dataclass(frozen=True)
class SecondsPerImage:
    """The time per image of each stage of a validation, in seconds.

    Attributes:
        load: Reading and letterboxing.
        network: From the batch to the predictions.
        nms: From the predictions to the detections.
    """

    load: float
    network: float
    nms: float

    def __str__(self) -> str:
        """Show milliseconds."""
        return ", ".join(f"{stage} {1000 * value:.1f} ms" for stage, value in asdict(self).items())


@dataclass(frozen=True)
class Validation:
    """The result of a validation.

    Attributes:
        metrics: Quality of the detections.
        seconds: Time per image.
        records: The images, in the order of the split.
        detections: One tensor (k, 6) per image, on the CPU: x1, y1, x2, y2 in pixels of the image, confidence, class.
        labels: How many images have labels.
        coco_ids: Ids of images and categories in the COCO file of the split (default: it has no such file).
        remarks: Sentences about images that are read, but perhaps not as intended.
    """

    metrics: Metrics
    seconds: SecondsPerImage
    records: tuple[ImageRecord, ...]
    detections: tuple[Tensor, ...]
    labels: LabelCounts = field(default_factory=LabelCounts)
    coco_ids: CocoIds | None = None
    remarks: tuple[str, ...] = ()

    @property
    def ids(self) -> CocoIds:
        """Ids of images and classes: the ids of the COCO file that was read; for other formats, they count from 1."""
        images = [str(record.image) for record in self.records]
        return self.coco_ids or CocoIds.counted(images, [each.name for each in self.metrics.per_class])

    def to_dict(self) -> dict[str, Any]:
        """Return the metrics and the milliseconds per image as plain values, ready for JSON."""
        milliseconds = {stage: round(1000 * seconds, 3) for stage, seconds in asdict(self.seconds).items()}
        return {**self.metrics.to_dict(), "milliseconds_per_image": milliseconds, "labels": asdict(self.labels)}

    def __repr__(self) -> str:
        """Show the metrics and the time per image."""
        return f"Validation({self.metrics!r}, per image: {self.seconds})"

    def _repr_html_(self) -> Markup:
        return Markup(f"{self.metrics._repr_html_()}<p>Per image: {escape(str(self.seconds))}</p>")


@torch.inference_mode()
def validate(
    network: Detector | Runtime,
    split: Split,
    imgsz: ImageSize,
    config: ValidationConfig | None = None,
    *,
    batch_size: int = 16,
    device: str = "cpu",
    half: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Validation:
    """Measure a network on a split.

    A detector runs with its batch norms folded into the convolutions. The metrics do not depend on the speed of the
    machine.

    Args:
        network: A detector, which is not changed, or the runtime of one.
        split: The images.
        imgsz: Longer side of the images in pixels, or height and width of all canvases, multiples of the stride.
        config: Thresholds of the detections. A file that selects detections itself has its own.
        batch_size: Images per batch.
        device: Device that computes a detector, in the notation of torch.
        half: Whether to compute a detector in half precision.
        progress: Called with (done, total) images.
    """
    config = config or ValidationConfig()
    runtime = network if not isinstance(network, Detector) else _in_torch(network, split, imgsz, device, half=half)
    selection, stride = runtime.description.selection, int(max(runtime.strides))
    evaluation = Evaluation(split.names)
    records: list[ImageRecord] = []
    detections: list[Tensor] = []
    spent = [0.0, 0.0, 0.0]
    clock = time.perf_counter()
    for batch in validation_batches(split, imgsz, stride, batch_size, config.canvas):
        clock = _lap(spent, 0, clock)
        outputs = runtime.predict(batch.batch.images)
        if outputs.is_cuda:
            torch.cuda.synchronize()
        clock = _lap(spent, 1, clock)
        detected = detect_in_batch(outputs, batch, config, runtime.suppression, selection)
        clock = _lap(spent, 2, clock)
        evaluation.update(detected, [ground_truth(record) for record in batch.records])
        records += batch.records
        detections += detected
        if progress:
            progress(len(records), len(split.records))
        clock = time.perf_counter()
    per_image = SecondsPerImage(*(seconds / max(1, len(records)) for seconds in spent))
    metrics = evaluation.compute()
    remarks = (*image_remarks(split), *_selection_remarks(selection))
    return Validation(metrics, per_image, tuple(records), tuple(detections), split.labels, split.coco_ids, remarks)


def read_split_for_classes(
    names: Sequence[str],
    source: DataSource,
    split: str,
    progress: Callable[[int, int], None] | None = None,
    *,
    bit_depth: int | None = None,
) -> Split:
    """Read a split of a data set, and check that it has the classes that a network was trained on.

    A network whose only class is called `object`, as `--single-cls` trains it, takes the objects of all classes.

    Args:
        names: Class names of the network, in the order of their indices.
        source: The data set.
        split: Name of the split.
        progress: Called with (done, total) images.
        bit_depth: Number of bits of 16-bit values that the network was trained with (default: that of the data set).

    Raises:
        DataError: If the images cannot be read, or none of them has labels.
        OptionError: If the data set has other classes; the message names the first class that differs.
    """
    trained = tuple(names)
    source = source if bit_depth is None else replace(source, bit_depth=bit_depth)
    read = source.read(split, progress=progress)
    require_labels(read)
    images = drop_invalid(read, single_class=trained == ("object",))
    if trained == images.names:
        return images
    pairs = itertools.zip_longest(trained, images.names)
    index, (expected, labeled) = next((index, pair) for index, pair in enumerate(pairs) if pair[0] != pair[1])
    raise OptionError(
        f"class {index} of {source.file} must be {_name(expected)}, as in the weights, got {_name(labeled)}",
        remedy="name the classes in the data file in the order of training",
    )


def coco_detections(validation: Validation) -> list[dict[str, Any]]:
    """Return the detections of a validation as a COCO result file holds them, with the ids of `validation.ids`."""
    ids = validation.ids
    categories = [ids.categories[each.name] for each in validation.metrics.per_class]
    images = [str(record.image) for record in validation.records]
    return [
        coco_result(image_id, image, categories[int(category)], box, confidence)
        for image_id, image, boxes in zip(ids.image_ids(images), images, validation.detections, strict=True)
        for *box, confidence, category in boxes.tolist()
    ]


def _in_torch(detector: Detector, split: Split, imgsz: ImageSize, device: str, *, half: bool) -> TorchRuntime:
    longer_side = imgsz if isinstance(imgsz, int) else max(imgsz)
    return TorchRuntime(detector, ModelCard("", "", "auto", split.names, longer_side), device, half=half)


def _selection_remarks(selection: BakedSelection | None) -> tuple[str, ...]:
    if selection is None:
        return ()
    thresholds = f"confidence {selection.confidence:g}, IoU {selection.iou:g}, at most {selection.max_detections}"
    remark = f"the file selects detections itself ({thresholds} per image), which makes mAP lower than usual"
    return (remark,)


def _name(name: str | None) -> str:
    return "no class" if name is None else repr(name)


def _lap(spent: list[float], stage: int, clock: float) -> float:
    """Add the time since `clock` to a stage, and return the time now."""
    now = time.perf_counter()
    spent[stage] += now - clock
    return now
