"""Detection of objects in images with an exported file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from attendet_runtime.description import MAX_IMGSZ, METADATA_KEY, BakedSelection, Description, parse_description
from attendet_runtime.detections import Detections
from attendet_runtime.errors import RuntimeFileError, UsageError, first_line
from attendet_runtime.images import ImageLike, to_pixels
from attendet_runtime.letterbox import Placement, place_image, to_network_input
from attendet_runtime.maps import SiteMaps, sites_in_image
from attendet_runtime.suppression import Thresholds, detections_in_image, select_detections

_ERRORS_ONLY = 3
_CONFIDENCE = 0.25
_INPUT, _PREDICTIONS, _DETECTIONS = "images", "predictions", "detections"


@dataclass(frozen=True)
class Options:
    """The options of detection. An option of None takes its value from the file.

    Attributes:
        imgsz: Longer side in pixels that images are scaled to.
        confidence: Smallest confidence of a detection, 0-1 (default: 0.25, or that of the suppression in the file).
        iou: IoU threshold of non-maximum suppression, 0-1.
        max_detections: Largest number of detections per image.
        classes: Names or indices of the classes to keep (default: all).
        agnostic: Whether boxes of different classes suppress each other.
        multi_label: Whether a box is a detection of every class whose score is high enough, instead of the best only.
    """

    imgsz: int | None = None
    confidence: float | None = None
    iou: float | None = None
    max_detections: int | None = None
    classes: Iterable[str | int] | None = None
    agnostic: bool = False
    multi_label: bool = False


class Detector:
    """An exported detector that takes images and returns detections in their pixels.

    Args:
        path: An ONNX file that `attendet export` wrote.
        options: Options of detection.
        providers: Names of onnxruntime's providers, in order of preference (default: the processor).
        threads: Number of threads (default: one per core).

    Attributes:
        description: The description in the file.
        names: Class names, in the order of their indices.

    Raises:
        RuntimeFileError: If the file cannot be read, or is not a detector.
        UsageError: If an option is invalid, or contradicts the non-maximum suppression in the file.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        options: Options | None = None,
        *,
        providers: Sequence[str] = ("CPUExecutionProvider",),
        threads: int = 0,
    ) -> None:
        options = options or Options()
        self._session = _open_session(Path(path), providers, threads)
        self.description = _read_description(self._session, Path(path))
        self.names = self.description.names
        self._imgsz = _checked_imgsz(options.imgsz, self.description)
        self._thresholds = _thresholds(options, self.description)
        self._classes = None if options.classes is None else _class_mask(options.classes, self.names)

    def __repr__(self) -> str:
        """Show classes and image size."""
        return f"Detector(num_classes={len(self.names)}, imgsz={self._imgsz})"

    def __call__(self, image: ImageLike) -> Detections:
        """Return the detections of an image.

        Args:
            image: A path, an array (H, W, 3) of red, green, blue in 0-255, or a Pillow image. The EXIF rotation of a
                file is applied. That of a Pillow image is not: detections are in the pixels that you hold.

        Raises:
            ImageError: If the image cannot be read.
        """
        return self._detect(to_pixels(image, self.description.bit_depth), with_maps=False)[0]

    def explain(self, image: ImageLike) -> tuple[Detections, tuple[SiteMaps, ...]]:
        """Return the detections of an image, and the maps of the attention modules in the file.

        Raises:
            ImageError: If the image cannot be read.
            UsageError: If the file has no maps.
        """
        if not self.description.gates:
            raise UsageError("the file has no attention maps; write them with `attendet export --gates`")
        return self._detect(to_pixels(image, self.description.bit_depth), with_maps=True)

    def _detect(self, pixels: NDArray[np.uint8], *, with_maps: bool) -> tuple[Detections, tuple[SiteMaps, ...]]:
        canvas, placement = place_image(pixels, self.description, self._imgsz)
        sites = self.description.gates if with_maps else ()
        main = _PREDICTIONS if self.description.selection is None else _DETECTIONS
        wanted = dict.fromkeys([main, *(output for site in sites for output in site.maps.values())])
        outputs = dict(zip(wanted, self._run(to_network_input(canvas), list(wanted)), strict=True))
        detections = self._selected(outputs[main], placement)
        return detections, sites_in_image(sites, outputs, placement, canvas.shape[:2])

    def _run(self, images: NDArray[np.float32], outputs: list[str]) -> list[NDArray[np.float32]]:
        """Return the outputs for one image, without the axis of the batch."""
        try:
            if self.description.batch is not None and self.description.batch > 1:
                rest = np.zeros((self.description.batch - 1, *images.shape[1:]), np.float32)
                images = np.concatenate([images, rest])
            results = self._session.run(outputs, {_INPUT: images})
            return [np.asarray(result, np.float32)[0] for result in results]
        except Exception as error:  # onnxruntime's own classes of errors derive from Exception alone
            raise RuntimeFileError(f"onnxruntime cannot run the file: {first_line(error)}") from error

    def _selected(self, output: NDArray[np.float32], placement: Placement) -> Detections:
        columns = 6 if self.description.selection is not None else 4 + len(self.names)
        if output.ndim != 2 or output.shape[1] != columns:
            raise RuntimeFileError(f"the output must have the shape (rows, {columns}), got {output.shape}")
        if self.description.selection is None:
            rows = select_detections(output, self._thresholds, self._classes)
        else:
            rows = output[(output[:, 4] > 0) & (output[:, 4] > np.float32(self._thresholds.confidence))]
            if not ((rows[:, 5] >= 0) & (rows[:, 5] < len(self.names))).all():
                raise RuntimeFileError(f"the classes of detections must be 0 to {len(self.names) - 1}")
            if self._classes is not None:
                rows = rows[self._classes[rows[:, 5].astype(np.int64)]]
            rows = rows[: self._thresholds.max_detections]
        in_image = detections_in_image(rows, placement)
        class_id = in_image[:, 5].astype(np.int64)
        return Detections(in_image[:, :4], in_image[:, 4], class_id, tuple(self.names[index] for index in class_id))


def _open_session(path: Path, providers: Sequence[str], threads: int) -> onnxruntime.InferenceSession:
    if not path.is_file():
        raise RuntimeFileError(f"{path}: file not found")
    if path.suffix.lower() != ".onnx":
        raise RuntimeFileError(f"{path}: the file must be an ONNX file, got the ending {path.suffix!r}")
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = _ERRORS_ONLY
    settings.intra_op_num_threads = threads
    missing = [provider for provider in providers if provider not in onnxruntime.get_available_providers()]
    if missing:
        known = ", ".join(onnxruntime.get_available_providers())
        raise UsageError(f"`providers` must be among {known}, got {missing[0]!r}")
    try:
        return onnxruntime.InferenceSession(str(path), settings, providers=list(providers))
    except Exception as error:  # onnxruntime's own classes of errors derive from Exception alone
        raise RuntimeFileError(f"{path}: onnxruntime cannot read the file: {first_line(error)}") from error


def _read_description(session: onnxruntime.InferenceSession, path: Path) -> Description:
    try:
        description = parse_description(session.get_modelmeta().custom_metadata_map.get(METADATA_KEY))
    except RuntimeFileError as error:
        raise RuntimeFileError(f"{path}: {error}") from error
    promised = {_PREDICTIONS if description.selection is None else _DETECTIONS}
    promised |= {output for site in description.gates for output in site.maps.values()}
    missing = sorted(promised - {output.name for output in session.get_outputs()})
    if missing or [each.name for each in session.get_inputs()] != [_INPUT]:
        detail = f"the output {missing[0]!r} is missing" if missing else f"its only input must be `{_INPUT}`"
        raise RuntimeFileError(f"{path}: the file does not fit its description: {detail}")
    return description


def _checked_imgsz(imgsz: int | None, description: Description) -> int:
    if imgsz is None:
        return description.imgsz
    if description.canvas is not None:
        height, width = description.canvas
        raise UsageError(f"`imgsz` must be left out, because the file takes {width}x{height} pixels only, got {imgsz}")
    if not 1 <= imgsz <= MAX_IMGSZ:
        raise UsageError(f"`imgsz` must be 1 to {MAX_IMGSZ} pixels, got {imgsz}")
    return imgsz


def _thresholds(options: Options, description: Description) -> Thresholds:
    if description.selection is not None:
        return _baked_thresholds(options, description.selection)
    return Thresholds(
        _CONFIDENCE if options.confidence is None else options.confidence,
        description.iou if options.iou is None else options.iou,
        description.max_detections if options.max_detections is None else options.max_detections,
        options.multi_label,
        options.agnostic,
    )


def _baked_thresholds(options: Options, baked: BakedSelection) -> Thresholds:
    """Return the thresholds within the limits of the non-maximum suppression in the file."""
    confidence = baked.confidence if options.confidence is None else options.confidence
    iou = baked.iou if options.iou is None else options.iou
    most = baked.max_detections if options.max_detections is None else options.max_detections
    thresholds = Thresholds(confidence, iou, most, agnostic=baked.agnostic)
    refused = [
        (confidence < baked.confidence, f"`confidence` must be at least {baked.confidence:g}", confidence),
        (iou != baked.iou, f"`iou` must be {baked.iou:g}", iou),
        (most > baked.max_detections, f"`max_detections` must be at most {baked.max_detections}", most),
        (options.agnostic and not baked.agnostic, "`agnostic` must be False", True),
        (options.multi_label, "`multi_label` must be False", True),
    ]
    for is_refused, must, value in refused:
        if is_refused:
            raise UsageError(f"{must}, as in the file, which contains its non-maximum suppression, got {value}")
    return thresholds


def _class_mask(classes: Iterable[str | int], names: Sequence[str]) -> NDArray[np.bool_]:
    """Return (num_classes,), True for the classes that are kept."""
    mask = np.zeros(len(names), np.bool_)
    for wanted in classes:
        if isinstance(wanted, str) and wanted in names:
            mask[list(names).index(wanted)] = True
            continue
        if isinstance(wanted, str) and not wanted.isdecimal():
            raise UsageError(f"`classes` must be names or indices of classes, got {wanted!r}")
        if not 0 <= int(wanted) < len(names):
            raise UsageError(f"`classes` must be names or 0 to {len(names) - 1}, got {wanted}")
        mask[int(wanted)] = True
    if not mask.any():
        raise UsageError("`classes` must name at least one class, got none; leave it out to keep all")
    return mask
