"""Measure a detector on a data set with one call."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from attendet.data.loading.canvases import CanvasRule
from attendet.data.reading import data_source
from attendet.data.reading.data_source import DataSource
from attendet.errors import OptionError
from attendet.evaluation.config import ValidationConfig
from attendet.evaluation.validation import Validation, read_split_for_classes
from attendet.evaluation.validation import validate as validate_split
from attendet.training.config_sections import DataConfig
from attendet.training.resource_errors import explain_resource_errors
from attendet.training.run_folder import RunFolder, read_run
from attendet.utils.devices import resolve_device
from attendet.weights.io import opening


def validate(
    weights: str | os.PathLike[str],
    data: str | os.PathLike[str] | None = None,
    *,
    split: str = "val",
    imgsz: int | None = None,
    batch_size: int = 16,
    confidence: float = 0.001,
    iou: float = 0.6,
    max_detections: int = 300,
    device: str = "auto",
    half: bool = False,
    canvas: CanvasRule = "border",
    progress: Callable[[int, int], None] | None = None,
) -> Validation:
    """Measure weights on a split of a data set by COCO's protocol: `attendet val` as a function.

    Args:
        weights: A run's folder, a `.safetensors` file, or a YOLOv5 `.pt` checkpoint.
        data: A data.yaml, a folder, or a COCO JSON (default: the data set of the run, if `weights` is a run's folder).
        split: `train`, `val`, or `test`.
        imgsz: Longer side of the images in pixels (default: that of training).
        batch_size: Images per batch.
        confidence: Smallest score of a detection, 0-1.
        iou: IoU threshold of non-maximum suppression, 0-1.
        max_detections: Largest number of detections per image.
        device: `auto`, `cpu`, `cuda`, or the number of a GPU.
        half: Compute in half precision; needs CUDA.
        canvas: How much gray surrounds an image: `border` (at least half a stride of the network), `tight` (as little
            as possible), `square`, or `yolov5` (as the original's `val.py`, where it depends on the other images).
        progress: Called with (done, total) images.

    Returns:
        Metrics, detections of each image, and the time per image by stage.

    Raises:
        OptionError: If an option is invalid, or the data set has other classes than the weights.
        WeightsError: If the weights cannot be read.
        DataError: If the data set cannot be read.

    Example:
        >>> import attendet
        >>> attendet.validate("nowhere/best.safetensors", "data.yaml")
        Traceback (most recent call last):
            ...
        attendet.errors.WeightsError: nowhere/best.safetensors: weights file not found
    """
    opened = opening.open(weights)
    where = resolve_device(device)
    if half and not where.startswith("cuda"):
        raise OptionError(f"`half` needs CUDA, got the device {where!r}", remedy="leave it out")
    images = read_split_for_classes(
        opened.names, data_of(weights, data), split, progress, bit_depth=opened.card.bit_depth
    )
    try:
        options = ValidationConfig(confidence=confidence, iou=iou, max_detections=max_detections, canvas=canvas)
    except ValidationError as error:
        first = error.errors()[0]
        raise OptionError(f"`{first['loc'][0]}` is {first['input']!r}", remedy=first["msg"].lower()) from error
    with explain_resource_errors(batch_size, imgsz or opened.imgsz):
        return validate_split(
            opened.detector,
            images,
            imgsz or opened.imgsz,
            options,
            batch_size=batch_size,
            device=where,
            half=half,
            progress=progress,
        )


def data_of(weights: str | os.PathLike[str], data: str | os.PathLike[str] | None) -> DataSource:
    """Return the data set to measure on: the one named, or that of the run whose folder `weights` is.

    Raises:
        OptionError: If no data set is named and `weights` is not the folder of a run that names one.
        DataError: If the data set cannot be read.
    """
    if data is not None:
        return data_source.open(data)
    if not Path(weights).is_dir():
        raise OptionError("`data` must name a data set, got None", remedy="name a data.yaml, or the folder of a run")
    configuration = read_run(RunFolder(Path(weights))).configuration
    try:
        recorded = DataConfig.model_validate(configuration["data"])
    except (KeyError, TypeError, ValidationError) as error:
        raise OptionError(f"{weights} does not name its data set", remedy="name a data.yaml") from error
    return data_source.open(recorded.path, recorded.format)
