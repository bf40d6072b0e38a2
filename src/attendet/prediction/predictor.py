"""Detection of objects in images with a trained network."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from supervision import Detections
from torch import Tensor

from attendet.data.images import ImageLike, read_image
from attendet.data.loading.canvases import SingleCanvasRule, canvas_shapes
from attendet.data.loading.resizing import ImageSize, Letterbox, letterbox
from attendet.detection.class_names import class_index
from attendet.detection.postprocess import CanvasPlacement, DetectionThresholds
from attendet.errors import DataError, OptionError
from attendet.runtimes import runtime_files
from attendet.runtimes.image_size import choose_image_size
from attendet.runtimes.selection import choose_thresholds, select_in_images
from attendet.utils.devices import is_out_of_memory, parse_device
from attendet.utils.text import plural


class Predictor:
    """A trained network that takes images and returns detections in their pixels.

    The longer side of each image is scaled to `imgsz`, the shorter side by the same factor, and both are padded with
    gray to a multiple of the largest stride, by at least half a stride. The detections of an
    image do not depend on the other images of a batch, up to rounding.

    Args:
        weights: A run's folder (its `weights/best.safetensors` is read), a `.safetensors` file, a YOLO `.pt`
            checkpoint, or an exported file (`.onnx`, `.xml`, `.param`, `.pt2`).
        imgsz: Longer side in pixels that images are scaled to; or height and width, multiples of the largest stride, of
            all canvases (default: that of training; for an exported file of fixed size, its height and width).
        confidence: Smallest confidence of a detection, 0-1 (default: 0.25). An exported file that selects detections
            itself has its own defaults for this and the next three options, and its own limits.
        iou: IoU threshold of non-maximum suppression, 0-1 (default: that of the model, such as 0.45).
        max_detections: Largest number of detections per image (default: that of the model, such as 1000).
        classes: Names or indices of the classes to keep (default: all).
        agnostic: Whether boxes of different classes suppress each other (default: False).
        device: `auto` (a GPU if there is one), `cpu`, `cuda`, or the index of a GPU.
        half: Whether to compute in half precision; needs a GPU.
        canvas: How much gray surrounds an image: `border`, `tight`, or `square`; see
            `attendet.data.loading.canvases.canvas_shapes`.

    Attributes:
        names: Class names, in the order of their indices.
        imgsz: Longer side in pixels that images are scaled to, or height and width of all canvases.
        bit_depth: Number of bits of the values in images with 16 bits per channel, as in training.
        runtime: The network, ready to run.
        timings: Seconds spent so far in the stages `read`, `prepare`, `network`, and `nms`.

    Raises:
        WeightsError: If the weights cannot be read.
        OptionError: If an option is invalid, or the device does not exist.
        UnknownNameError: If a name in `classes` is unknown.

    Example:
        >>> import attendet, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "cells.pt")
        ...     torch.save(attendet.build("yolov5n", num_classes=2).state_dict(), path)
        ...     predictor = Predictor(path, imgsz=320, device="cpu")
        >>> predictor
        Predictor(num_classes=2, imgsz=320, runtime=TorchRuntime)
        >>> predictor(np.zeros((48, 64, 3), np.uint8)).xyxy.shape
        (0, 4)
    """

    def __init__(
        self,
        weights: str | os.PathLike[str],
        *,
        imgsz: ImageSize | None = None,
        confidence: float | None = None,
        iou: float | None = None,
        max_detections: int | None = None,
        classes: Iterable[str | int] | None = None,
        agnostic: bool | None = None,
        device: str = "auto",
        half: bool = False,
        canvas: SingleCanvasRule = "border",
    ) -> None:
        runtime = runtime_files.open(weights, device, half=half)
        self.runtime = runtime
        self._thresholds = choose_thresholds(
            runtime,
            DetectionThresholds.for_prediction(runtime.suppression),
            confidence=confidence,
            iou=iou,
            max_detections=max_detections,
            agnostic=agnostic,
        )
        self.names = runtime.names
        self.bit_depth = runtime.description.bit_depth or 16
        self.imgsz = choose_image_size(runtime, imgsz)
        self._classes = None if classes is None else self._class_mask(classes)
        self._canvas: SingleCanvasRule = canvas
        self._stride = int(max(runtime.strides))
        # Imported now, so that the first image does not wait for it.
        import torchvision.ops  # noqa: F401, PLC0415

        uses_gpu = parse_device(device)[0] == "cuda"
        self.timings = Timings(torch.cuda.synchronize if uses_gpu else None)

    def __repr__(self) -> str:
        """Show classes, image size, and runtime."""
        runtime = type(self.runtime).__name__
        return f"Predictor(num_classes={len(self.names)}, imgsz={self.imgsz}, runtime={runtime})"

    def __call__(self, image: ImageLike) -> Detections:
        """Return the detections of an image.

        Args:
            image: A path, an array (H, W, 3) of red, green, blue in 0-255, or a Pillow image. The EXIF rotation of a
                file is applied. That of a Pillow image is not: detections are in the pixels that you hold.

        Returns:
            Boxes `xyxy` in pixels, inside of the image; `confidence` in 0-1; `class_id`; and `data["class_name"]`. The
            most confident detection comes first.

        Raises:
            DataError: If the image cannot be read.
        """
        return self.batch([image])[0]

    def batch(self, images: Sequence[ImageLike]) -> list[Detections]:
        """Return the detections of each of several images.

        Images that need a canvas of the same shape go through the network together.

        Raises:
            DataError: If an image cannot be read.
            OptionError: If the memory is too small for the batch.
        """
        with self.timings.stage("read"):
            pixels = [_pixels(image, self.bit_depth) for image in images]
        sizes = np.array([image.shape[1::-1] for image in pixels], np.int64).reshape(-1, 2)
        shapes = canvas_shapes(sizes, self.imgsz, self._stride, self._canvas)
        groups: dict[tuple[int, int], list[int]] = {}
        for position, (height, width) in enumerate(shapes.tolist()):
            groups.setdefault((height, width), []).append(position)
        by_position: dict[int, Detections] = {}
        for shape, positions in groups.items():
            group = [pixels[position] for position in positions]
            try:
                detections = self._detect_on_canvas(group, shape)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                batch = f"{plural(len(group), 'image')} of {shape[1]}x{shape[0]} pixels"
                message = f"not enough memory for {batch}"
                raise OptionError(message, remedy="use a smaller batch or image size") from error
            by_position.update(zip(positions, detections, strict=True))
        return [by_position[position] for position in range(len(pixels))]

    @torch.inference_mode()
    def _detect_on_canvas(self, images: list[NDArray[np.uint8]], shape: tuple[int, int]) -> list[Detections]:
        """Return the detections of images that need a canvas of this shape (height, width)."""
        with self.timings.stage("prepare"):
            canvases, letterboxes = zip(*(letterbox(image, self.imgsz, shape) for image in images), strict=True)
            batch = torch.from_numpy(np.stack(canvases)).permute(0, 3, 1, 2)
        with self.timings.stage("network"):
            outputs = self.runtime.predict(batch)
        with self.timings.stage("nms"):
            placements = [_placement(image, placed) for image, placed in zip(images, letterboxes, strict=True)]
            selection, classes = self.runtime.description.selection, self._classes
            classes = None if classes is None else classes.to(outputs.device)
            rows_by_image = select_in_images(outputs, selection, placements, self._thresholds, classes=classes)
            return [self._detections(rows) for rows in rows_by_image]

    def _class_mask(self, classes: Iterable[str | int]) -> Tensor:
        mask = torch.zeros(len(self.names), dtype=torch.bool)
        for wanted in classes:
            mask[class_index(wanted, self.names, len(self.names))] = True
        if not mask.any():
            raise OptionError("`classes` must name at least one class, got none", remedy="leave it out to keep all")
        return mask

    def _detections(self, rows: Tensor) -> Detections:
        """Convert rows (n, 6) x1, y1, x2, y2, confidence, class."""
        values = rows.numpy()
        class_id = values[:, 5].astype(np.int64)
        return Detections(
            xyxy=values[:, :4],
            confidence=values[:, 4],
            class_id=class_id,
            data={"class_name": np.array(self.names, dtype=np.str_)[class_id]},
        )


def _placement(image: NDArray[np.uint8], placed: Letterbox) -> CanvasPlacement:
    height, width = image.shape[:2]
    return CanvasPlacement(width, height, placed.scale, placed.left, placed.top)


def _pixels(image: ImageLike, bit_depth: int) -> NDArray[np.uint8]:
    """Return (H, W, 3) red, green, blue in 0-255."""
    if isinstance(image, str | os.PathLike):
        return read_image(Path(image), bit_depth)
    pixels = _pillow_pixels(image) if isinstance(image, Image.Image) else np.asarray(image)
    if pixels.dtype != np.uint8:
        raise DataError(f"an image must be an array of uint8 in 0-255, got {pixels.dtype}")
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4) or 0 in pixels.shape:
        raise DataError(f"an image must have the shape (height, width, 3), got {pixels.shape}")
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else np.ascontiguousarray(pixels[..., :3])


def _pillow_pixels(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode.startswith(("I", "F")):
        # Pillow would clip the values at 255, which makes almost everything white.
        message = f"a Pillow image must have 8 bits per channel, got the mode {image.mode}"
        raise DataError(message, remedy="scale it to 0-255 and convert it to RGB")
    return np.asarray(image.convert("RGB"))


class Timings:
    """The total time of each of several named stages.

    Args:
        wait: Called at the end of each stage, to wait for a device that computes asynchronously.

    Attributes:
        seconds: Seconds by stage, in the order in which the stages first ran.

    Example:
        >>> timings = Timings()
        >>> for _ in range(2):
        ...     with timings.stage("read"):
        ...         pass
        >>> list(timings.seconds), timings.seconds["read"] >= 0
        (['read'], True)
    """

    def __init__(self, wait: Callable[[], None] | None = None) -> None:
        self.seconds: dict[str, float] = {}
        self._wait = wait

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the duration of the block to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            if self._wait is not None:
                self._wait()
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start
