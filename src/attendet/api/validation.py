"""Measure a detector on a data set with one call."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from attendet.data.loading.canvases import CanvasRule
from attendet.data.loading.resizing import ImageSize
from attendet.data.reading import data_source
from attendet.data.reading.data_source import DataSource
from attendet.detection.postprocess import DetectionThresholds
from attendet.errors import OptionError
from attendet.evaluation.config import ValidationConfig
from attendet.evaluation.validation import Validation, read_split_for_classes
from attendet.evaluation.validation import validate as validate_split
from attendet.runtimes import runtime_files
from attendet.runtimes.image_size import choose_image_size
from attendet.runtimes.selection import choose_thresholds
from attendet.training.config_sections import DataConfig
from attendet.training.resource_errors import explain_resource_errors
from attendet.training.run_folder import RunFolder, read_run

_DEFAULTS = ValidationConfig()


def validate(
    weights: str | os.PathLike[str],
    data: str | os.PathLike[str] | None = None,
    *,
    split: str = "val",
    imgsz: ImageSize | None = None,
    batch_size: int = 16,
    confidence: float | None = None,
    iou: float | None = None,
    max_detections: int | None = None,
    device: str = "auto",
    half: bool = False,
    canvas: CanvasRule = "border",
    progress: Callable[[int, int], None] | None = None,
) -> Validation:
    """Measure weights on a split of a data set by COCO's protocol: `attendet val` as a function.

    Args:
        weights: A run's folder, a `.safetensors` file, a YOLO `.pt` checkpoint, or an exported file.
        data: A data.yaml, a folder, or a COCO JSON (default: the data set of the run, if `weights` is a run's folder).
        split: `train`, `val`, or `test`.
        imgsz: Longer side of the images in pixels, or height and width of all canvases (default: that of training; for
            an exported file of fixed size, its height and width).
        batch_size: Images per batch.
        confidence: Smallest score of a detection, 0-1 (default: 0.001). An exported file that selects detections itself
            has its own defaults for this and the next two options, and its own limits.
        iou: IoU threshold of non-maximum suppression, 0-1 (default: that of the model, such as 0.6).
        max_detections: Largest number of detections per image (default: 300).
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
    runtime = runtime_files.open(weights, device, half=half)
    size = choose_image_size(runtime, imgsz)
    defaults = DetectionThresholds(_DEFAULTS.confidence, runtime.suppression.validation_iou, _DEFAULTS.max_detections)
    thresholds = choose_thresholds(runtime, defaults, confidence=confidence, iou=iou, max_detections=max_detections)
    options = ValidationConfig(
        confidence=thresholds.confidence, iou=thresholds.iou, max_detections=thresholds.max_detections, canvas=canvas
    )
    images = read_split_for_classes(
        runtime.names, data_of(weights, data), split, progress, bit_depth=runtime.description.bit_depth
    )
    with explain_resource_errors(batch_size, max(size) if isinstance(size, tuple) else size):
        return validate_split(runtime, images, size, options, batch_size=batch_size, progress=progress)


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
