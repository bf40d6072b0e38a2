"""Detect objects with one call."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from supervision import Detections

from attendet.data.loading.canvases import SingleCanvasRule
from attendet.data.loading.resizing import ImageSize
from attendet.errors import AttendetError, AttendetWarning, DataError, OptionError
from attendet.prediction.addresses import is_address
from attendet.prediction.input_frames import read_frames
from attendet.prediction.predictor import Predictor
from attendet.prediction.session import FrameDetections, detect_in_frames
from attendet.prediction.sources import MediaSource, expand_sources

Images: TypeAlias = str | os.PathLike[str] | NDArray[np.uint8] | Image.Image | Sequence[str | os.PathLike[str]]
"""A path, an array (H, W, 3), a Pillow image, or a list of these."""


@overload
def predict(
    weights: str | os.PathLike[str] | Predictor,
    images: Images,
    *,
    imgsz: ImageSize | None = None,
    confidence: float | None = None,
    iou: float | None = None,
    max_detections: int | None = None,
    classes: Iterable[str | int] | None = None,
    agnostic: bool | None = None,
    device: str = "auto",
    canvas: SingleCanvasRule = "border",
) -> Detections | list[Detections]: ...
@overload
def predict(
    weights: str | os.PathLike[str] | Predictor,
    *,
    source: str | int | Sequence[str | int],
    stride: int = 1,
    imgsz: ImageSize | None = None,
    confidence: float | None = None,
    iou: float | None = None,
    max_detections: int | None = None,
    classes: Iterable[str | int] | None = None,
    agnostic: bool | None = None,
    device: str = "auto",
    canvas: SingleCanvasRule = "border",
) -> Iterator[FrameDetections]: ...
def predict(
    weights: str | os.PathLike[str] | Predictor,
    images: Images | None = None,
    *,
    source: str | int | Sequence[str | int] | None = None,
    stride: int = 1,
    imgsz: ImageSize | None = None,
    confidence: float | None = None,
    iou: float | None = None,
    max_detections: int | None = None,
    classes: Iterable[str | int] | None = None,
    agnostic: bool | None = None,
    device: str = "auto",
    canvas: SingleCanvasRule = "border",
) -> Detections | list[Detections] | Iterator[FrameDetections]:
    """Detect objects in images, or in the frames of videos, streams, and cameras as they arrive.

    To predict repeatedly, keep a `Predictor`: this function reads the weights at each call.

    Args:
        weights: A run's folder, a `.safetensors` file, a YOLO `.pt` checkpoint, an exported file, or a `Predictor`,
            whose own options are then used.
        images: A path, an array (H, W, 3) of red, green, blue in 0-255, a Pillow image, or a list of these.
        source: Instead of images: a file, folder, pattern, list (`.txt`), address of a stream (`rtsp://…`), number of a
            camera, or several of these, as `attendet predict` takes them. Streams are watched at the same time. A
            source that cannot be read, and a lost connection, is a warning.
        stride: Every how many frames of a video one is used.
        imgsz: Longer side in pixels that images are scaled to, or height and width of all canvases (default: that of
            training; for an exported file of fixed size, its height and width).
        confidence: Smallest score of a detection, 0-1 (default: 0.25). An exported file that selects detections itself
            has its own defaults for this and the next three options, and its own limits.
        iou: IoU threshold of non-maximum suppression, 0-1 (default: that of the model, such as 0.45).
        max_detections: Largest number of detections per image (default: that of the model, such as 1000).
        classes: Names or numbers of the classes to keep (default: all).
        agnostic: Whether boxes of different classes suppress each other (default: False).
        device: `auto`, `cpu`, `cuda`, or the number of a GPU.
        canvas: How much gray surrounds an image: `border` (at least half a stride of the network), `tight` (as little
            as possible), or `square`.

    Returns:
        The detections of one image, or a list of them for a list of images: boxes `xyxy` in pixels, `confidence` in
        0-1, `class_id`, and `data["class_name"]`, the most confident first. For a source, an iterator of frames with
        their detections; it ends with the last stream, and raises a `DataError` if nothing could be read.

    Raises:
        WeightsError: If the weights cannot be read.
        DataError: If an image cannot be read.
        OptionError: If an option is invalid, or not exactly one of `images` and `source` is given.

    Example:
        >>> import attendet
        >>> attendet.predict("nowhere/best.safetensors", "photo.jpg")
        Traceback (most recent call last):
            ...
        attendet.errors.WeightsError: nowhere/best.safetensors: weights file not found
        >>> watched = attendet.predict("runs/train/exp", source="rtsp://camera.local/1")  # doctest: +SKIP
        >>> for frame, detections in watched:  # doctest: +SKIP
        ...     print(frame.number, len(detections))
    """
    if (images is None) == (source is None):
        raise OptionError("exactly one of `images` and `source` must be given")
    if isinstance(images, str) and is_address(images):
        raise OptionError("`images` must be files, got the address of a stream", remedy="give it as source=…")
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
    if images is None:
        return _in_sources(predictor, source, stride)
    if isinstance(images, str | Path | os.PathLike | np.ndarray | Image.Image):
        return predictor(images)
    return predictor.batch(list(images))


def _in_sources(
    predictor: Predictor, source: str | int | Sequence[str | int] | None, stride: int
) -> Iterator[FrameDetections]:
    """Yield the frames of sources with their detections."""
    arguments = [str(each) for each in ([source] if isinstance(source, str | int) else source or ())]
    frames = read_frames(
        expand_sources(arguments, _warn), _warn, stride, on_loss=_warn_of_loss, bit_depth=predictor.bit_depth
    )
    is_empty = True
    for found in detect_in_frames(predictor, frames):
        is_empty = False
        yield found
    if is_empty:
        raise DataError("no source could be read", remedy="see the warnings")


def _warn(error: AttendetError) -> None:
    warnings.warn(AttendetWarning(str(error)), stacklevel=2)


def _warn_of_loss(source: MediaSource, reason: str) -> None:
    message = f"{source.label}: the connection is lost ({reason}); connecting again"
    warnings.warn(AttendetWarning(message), stacklevel=2)
