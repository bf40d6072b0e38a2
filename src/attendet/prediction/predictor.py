"""Weights → a function from images to detections."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from supervision import Detections
from torch import Tensor

from attendet.blocks.conv_bn_fusion import fuse_conv_bn
from attendet.data.images import read_image
from attendet.data.loading.resizing import Letterbox, canvas_shapes, letterbox
from attendet.detection.suppression import nms
from attendet.errors import DataError, OptionError, unknown_name
from attendet.utils.devices import is_out_of_memory, resolve_device
from attendet.utils.limits import MAX_IMGSZ
from attendet.utils.text import plural
from attendet.weights.io import opening

ImageLike: TypeAlias = str | os.PathLike[str] | NDArray[np.uint8] | Image.Image


class Predictor:
    """A trained network with everything around it: image in, detections out.

    Each image's longer side is scaled to `imgsz`, the shorter one alike, and padded to a multiple of the largest
    stride. What an image gives does not depend on the images beside it in a batch, but for rounding.

    Args:
        weights: A `.safetensors` file that training wrote, the folder of a run, whose `weights/best.safetensors` is
            taken, or a `.pt` of the original YOLOv5.
        imgsz: Longer side in pixels that images are scaled to; that of training if None.
        confidence: Least confidence (objectness · class score), in 0-1.
        iou: Boxes of one class that overlap a better one by more are dropped, in 0-1.
        max_detections: Most detections of an image.
        classes: Names or numbers of the classes to keep; all if None.
        agnostic: Let boxes of different classes suppress each other.
        device: `auto` (a GPU where there is one), `cpu`, `cuda`, or a GPU's number.
        half: Compute in half precision; on a GPU only.

    Attributes:
        names: The classes' names, by number.
        imgsz: As above.
        device: Where the network runs.
        timings: Seconds spent so far in the stages `read`, `prepare`, `network` and `nms`.

    Raises:
        WeightsError: If the weights cannot be read.
        OptionError: If an option has no such value, or there is no such device.
        UnknownNameError: If the network has no such class.

    Example:
        >>> import attendet, tempfile
        >>> from attendet.models.bundled import bundled_text
        >>> from attendet.weights.io.model_card import ModelCard
        >>> from attendet.weights.io import save_weights
        >>> card = ModelCard("yolov5n", bundled_text("yolov5n"), "auto", ("cell", "platelet"), 320)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "best.safetensors")
        ...     save_weights(attendet.build("yolov5n", num_classes=2), path, card)
        ...     predictor = Predictor(path, device="cpu")
        >>> detections = predictor(np.zeros((48, 64, 3), np.uint8))
        >>> detections.xyxy.shape, predictor.names
        ((0, 4), ('cell', 'platelet'))
    """

    def __init__(
        self,
        weights: str | os.PathLike[str],
        *,
        imgsz: int | None = None,
        confidence: float = 0.25,
        iou: float = 0.45,
        max_detections: int = 1000,
        classes: Iterable[str | int] | None = None,
        agnostic: bool = False,
        device: str = "auto",
        half: bool = False,
    ) -> None:
        self.device = torch.device(resolve_device(device))
        if half and self.device.type != "cuda":
            raise OptionError(f"half precision on {self.device}", remedy="it needs a GPU; leave it out here")
        opened = opening.open(weights)
        self.names = opened.names
        self.imgsz = _imgsz(opened.imgsz if imgsz is None else imgsz)
        self._options = {
            "confidence": float(confidence),
            "iou": float(iou),
            "max_detections": max_detections,
            "agnostic": agnostic,
        }
        # Asked for nothing, so that a wrong threshold is told before the first image is read.
        nms(torch.zeros(1, 0, 5 + len(self.names)), **self._options)
        self._kept = None if classes is None else self._mask(classes).to(self.device)
        self._dtype = torch.float16 if half else torch.float32
        # Faster on CPUs and in half precision, and what letterboxed arrays are already.
        fused = fuse_conv_bn(opened.detector).to(self.device, self._dtype)
        self._detector = fused.to(memory_format=torch.channels_last)
        self._stride = int(max(opened.detector.strides))
        self.timings = Timings(partial(torch.cuda.synchronize, self.device) if self.device.type == "cuda" else None)

    def __call__(self, image: ImageLike) -> Detections:
        """Return what is seen in an image.

        Args:
            image: A path, an (H, W, 3) array of red, green, blue in 0-255, or a Pillow image. A file's EXIF rotation is
                applied; that of a Pillow image is not, since its pixels are what you hold.

        Returns:
            Boxes `xyxy` in pixels of the image, inside of it, `confidence` in 0-1, `class_id`, and
            `data["class_name"]`; the most confident first.

        Raises:
            DataError: If the image cannot be read.
        """
        return self.batch([image])[0]

    def batch(self, images: Sequence[ImageLike]) -> list[Detections]:
        """Return what is seen in each of several images; those that need the same canvas go through together.

        Raises:
            DataError: If one of the images cannot be read.
            OptionError: If memory does not suffice for so many of this size.
        """
        with self.timings.stage("read"):
            pixels = [_pixels(image) for image in images]
        sizes = np.array([image.shape[1::-1] for image in pixels], np.int64).reshape(-1, 2)
        groups: dict[tuple[int, int], list[int]] = {}
        for position, (height, width) in enumerate(canvas_shapes(sizes, self.imgsz, self._stride).tolist()):
            groups.setdefault((height, width), []).append(position)
        found: dict[int, Detections] = {}
        for shape, positions in groups.items():
            together = [pixels[position] for position in positions]
            try:
                detections = self._same_canvas(together, shape)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                many = f"{plural(len(together), 'image')} of {shape[1]}x{shape[0]} pixels"
                what = f"{self.device} has not enough memory for {many}"
                raise OptionError(what, remedy="take a smaller batch or image size") from error
            found.update(zip(positions, detections, strict=True))
        return [found[position] for position in range(len(pixels))]

    @torch.inference_mode()
    def _same_canvas(self, images: list[NDArray[np.uint8]], shape: tuple[int, int]) -> list[Detections]:
        with self.timings.stage("prepare"):
            placed = [letterbox(image, self.imgsz, shape) for image in images]
            batch = torch.from_numpy(np.stack([canvas for canvas, _ in placed])).to(self.device)
            batch = batch.permute(0, 3, 1, 2).to(self._dtype).div_(255)
        with self.timings.stage("network"):
            predictions = self._detector.decode(self._detector(batch))
        with self.timings.stage("nms"):
            kept = [rows.cpu().double().numpy() for rows in nms(self._only_kept(predictions), **self._options)]
            return [
                self._detections(rows, where, image.shape[:2])
                for rows, (_, where), image in zip(kept, placed, images, strict=True)
            ]

    def _only_kept(self, predictions: Tensor) -> Tensor:
        """Return predictions without objects of unwanted classes, which must not suppress wanted ones."""
        if self._kept is None:
            return predictions
        wanted = self._kept[predictions[..., 5:].argmax(dim=-1)]
        return torch.where(wanted[..., None], predictions, torch.zeros_like(predictions))

    def _mask(self, classes: Iterable[str | int]) -> Tensor:
        mask = torch.zeros(len(self.names), dtype=torch.bool)
        for wanted in classes:
            mask[_class_number(wanted, self.names)] = True
        if not mask.any():
            raise OptionError("no class is kept", remedy="name at least one, or leave the option out")
        return mask

    def _detections(self, rows: NDArray[np.float64], placed: Letterbox, size: tuple[int, int]) -> Detections:
        height, width = size
        boxes = placed.to_image(rows[:, :4]).clip(0, [width, height, width, height]).astype(np.float32)
        # What lies in the padding alone has no part of the image.
        inside = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        boxes, rows = boxes[inside], rows[inside]
        numbers = rows[:, 5].astype(np.int64)
        return Detections(
            xyxy=boxes,
            confidence=rows[:, 4].astype(np.float32),
            class_id=numbers,
            data={"class_name": np.array(self.names, dtype=np.str_)[numbers]},
        )


def _imgsz(size: int) -> int:
    if not 1 <= size <= MAX_IMGSZ:
        raise OptionError(f"imgsz is {size}", remedy=f"give 1 to {MAX_IMGSZ} pixels")
    return size


def _class_number(wanted: str | int, names: tuple[str, ...]) -> int:
    """Return a class's number; a text is a name first, and a number where there is no such name."""
    if isinstance(wanted, str) and wanted in names:
        return names.index(wanted)
    if isinstance(wanted, str) and not wanted.isdecimal():
        raise unknown_name("class", wanted, names)
    number = int(wanted)
    if not 0 <= number < len(names):
        raise OptionError(f"there is no class {number}", remedy=f"give 0 to {len(names) - 1}, or a name")
    return number


def _pixels(image: ImageLike) -> NDArray[np.uint8]:
    """Return (H, W, 3) red, green, blue."""
    if isinstance(image, str | os.PathLike):
        return read_image(Path(image))
    pixels = _pillow_pixels(image) if isinstance(image, Image.Image) else np.asarray(image)
    if pixels.dtype != np.uint8:
        raise DataError(f"the image has numbers of type {pixels.dtype}", remedy="give uint8, in 0-255")
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4) or 0 in pixels.shape:
        raise DataError(
            f"the image has the shape {pixels.shape}", remedy="give (height, width, 3), red, green and blue"
        )
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else np.ascontiguousarray(pixels[..., :3])


def _pillow_pixels(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode.startswith(("I", "F")):
        # Pillow would clip these at 255, which makes nearly everything white.
        raise DataError(f"the Pillow image has the mode {image.mode}", remedy="scale it to 0-255 and convert to RGB")
    return np.asarray(image.convert("RGB"))


class Timings:
    """Seconds spent in named stages, added up.

    Args:
        wait: Called at the end of every stage, to wait for a device that works on its own.

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
        """By stage, in the order in which they were first met."""
        self._wait = wait

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time that the block takes to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            if self._wait is not None:
                self._wait()
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start
