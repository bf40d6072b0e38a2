"""Detect objects with one call."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from supervision import Detections

from attendet.data.loading.canvases import SingleCanvasRule
from attendet.prediction.predictor import Predictor


def predict(
    weights: str | os.PathLike[str] | Predictor,
    images: str | os.PathLike[str] | NDArray[np.uint8] | Image.Image | Sequence[str | os.PathLike[str]],
    *,
    imgsz: int | None = None,
    confidence: float = 0.25,
    iou: float = 0.45,
    max_detections: int = 1000,
    classes: Iterable[str | int] | None = None,
    agnostic: bool = False,
    device: str = "auto",
    canvas: SingleCanvasRule = "border",
) -> Detections | list[Detections]:
    """Detect objects in one image or in several.

    To predict repeatedly, keep a `Predictor`: this function reads the weights at each call. For folders, videos, and
    cameras use `attendet predict`.

    Args:
        weights: A run's folder, a `.safetensors` file, a YOLOv5 `.pt` checkpoint, or a `Predictor`, whose own options
            are then used.
        images: A path, an array (H, W, 3) of red, green, blue in 0-255, a Pillow image, or a list of these.
        imgsz: Longer side in pixels that images are scaled to (default: that of training).
        confidence: Smallest score of a detection, 0-1.
        iou: IoU threshold of non-maximum suppression, 0-1.
        max_detections: Largest number of detections per image.
        classes: Names or numbers of the classes to keep (default: all).
        agnostic: Whether boxes of different classes suppress each other.
        device: `auto`, `cpu`, `cuda`, or the number of a GPU.
        canvas: How much gray surrounds an image: `border` (at least half a stride of the network), `tight` (as little
            as possible), or `square`.

    Returns:
        The detections of one image, or a list of them for a list of images: boxes `xyxy` in pixels, `confidence` in
        0-1, `class_id`, and `data["class_name"]`, the most confident first.

    Raises:
        WeightsError: If the weights cannot be read.
        DataError: If an image cannot be read.
        OptionError: If an option is invalid.

    Example:
        >>> import attendet
        >>> attendet.predict("nowhere/best.safetensors", "photo.jpg")
        Traceback (most recent call last):
            ...
        attendet.errors.WeightsError: nowhere/best.safetensors: weights file not found
    """
    predictor = (
        weights
        if isinstance(weights, Predictor)
        else Predictor(
            weights,
            imgsz=imgsz,
            confidence=confidence,
            iou=iou,
            max_detections=max_detections,
            classes=classes,
            agnostic=agnostic,
            device=device,
            canvas=canvas,
        )
    )
    if isinstance(images, str | Path | os.PathLike | np.ndarray | Image.Image):
        return predictor(images)
    return predictor.batch(list(images))
