"""What a user asks an export for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from attendet.data.loading.resizing import ImageSize
from attendet.detection.suppression import check_thresholds
from attendet.detection.suppression_defaults import SuppressionDefaults
from attendet.errors import OptionError, unknown_name
from attendet.runtimes.file_description import BakedSelection, Precision

ExportFormat: TypeAlias = Literal["onnx", "openvino", "torch", "ncnn", "executorch", "tensorrt"]
"""A format of files: `tensorrt` is an ONNX file that TensorRT reads, also with 8 bits."""

_SUFFIXES: dict[ExportFormat, str] = {
    "onnx": ".onnx",
    "openvino": ".xml",
    "torch": ".pt2",
    "ncnn": ".param",
    "executorch": ".pte",
    "tensorrt": ".onnx",
}
FORMATS: tuple[ExportFormat, ...] = tuple(_SUFFIXES)
"""All formats of files."""

_DEFAULT_TOLERANCES: dict[Precision, float] = {"float32": 1e-3, "float16": 2e-2, "int8": 1.0}
_OPSETS = range(18, 24)
# Formats that cannot hold something, and the formats that can.
_UNSUPPORTED = {
    "selection": (("ncnn", "executorch"), "onnx, openvino, torch, or tensorrt"),
    "gates": (("ncnn", "executorch"), "onnx, openvino, torch, or tensorrt"),
    "int8": (("torch", "ncnn", "executorch"), "onnx, openvino, or tensorrt"),
    "half": (("executorch",), "onnx, openvino, torch, ncnn, or tensorrt"),
}


@dataclass(frozen=True)
class SelectionOptions:
    """The options of the non-maximum suppression in a file.

    Attributes:
        confidence: Smallest confidence of a detection, 0-1.
        iou: IoU above which a box is suppressed by a more confident one, 0-1 (default: that of the network in
            prediction).
        max_detections: Number of detections per image in the output.
        agnostic: Whether boxes of different classes suppress each other.

    Raises:
        OptionError: If a threshold is outside 0-1, or `max_detections` is below 1.

    Example:
        >>> SelectionOptions().baked(SuppressionDefaults(0.7, 0.7, 300)).iou
        0.7
    """

    confidence: float = 0.25
    iou: float | None = None
    max_detections: int = 300
    agnostic: bool = False

    def __post_init__(self) -> None:
        iou = None if self.iou is None else float(self.iou)
        check_thresholds(float(self.confidence), iou, self.max_detections)

    def baked(self, defaults: SuppressionDefaults) -> BakedSelection:
        """Return the options that the file contains.

        Args:
            defaults: Thresholds of the network.
        """
        confidence, iou = float(self.confidence), float(defaults.prediction_iou if self.iou is None else self.iou)
        return BakedSelection(
            confidence=confidence, iou=iou, max_detections=self.max_detections, agnostic=self.agnostic
        )


@dataclass(frozen=True)
class ExportOptions:
    """The properties of an exported file.

    Attributes:
        imgsz: Longer side in pixels that images are scaled to, or height and width of all canvases (default: that of
            training). For detectors only; another network is exported with the size of its example.
        batch: Number of images that a static file takes.
        static: Whether the file takes one batch size and one image size only.
        selection: Options of non-maximum suppression in the file; None leaves it out.
        precision: Number format of the convolutions.
        gates: Whether the file also returns the maps of its attention modules.
        attention: Whether attention is kept; otherwise every attention module is left out.
        opset: Version of the ONNX operators.
        tolerance: Largest difference from torch, see `attendet.exporting.parity.Parity` (default: 1e-3 in float32, 2e-2
            in float16; an int8 file is measured by its mAP instead).
        accept: Whether a file whose mAP is too low is kept under its name.

    Raises:
        OptionError: If the options contradict each other.

    Example:
        >>> ExportOptions(batch=4)
        Traceback (most recent call last):
            ...
        attendet.errors.OptionError: `batch` must be left out for a dynamic file, got 4; give `static` as well
    """

    imgsz: ImageSize | None = None
    batch: int | None = None
    static: bool = False
    selection: SelectionOptions | None = None
    precision: Precision = "float32"
    gates: bool = False
    attention: bool = True
    opset: int = 20
    tolerance: float | None = None
    accept: bool = False

    def __post_init__(self) -> None:
        if self.batch is not None and self.batch < 1:
            raise OptionError(f"`batch` must be a positive integer, got {self.batch}")
        if self.batch is not None and not self.static:
            raise OptionError(
                f"`batch` must be left out for a dynamic file, got {self.batch}", remedy="give `static` as well"
            )
        if isinstance(self.imgsz, tuple) and not self.static:
            height, width = self.imgsz
            raise OptionError(
                f"`imgsz` must be one number for a dynamic file, got {height},{width}", remedy="give `static` as well"
            )
        if self.gates and not self.attention:
            raise OptionError("`gates` must be left out without attention", remedy="give one of them")
        if self.gates and self.selection is not None:
            raise OptionError("`gates` must be left out with `nms`", remedy="export two files")
        if self.opset not in _OPSETS:
            raise OptionError(f"`opset` must be {_OPSETS[0]} to {_OPSETS[-1]}, got {self.opset}")
        if self.tolerance is not None and not self.tolerance > 0:
            raise OptionError(f"`tolerance` must be a positive number, got {self.tolerance}")

    @property
    def largest_difference(self) -> float:
        """Largest difference from torch that the file may have."""
        return _DEFAULT_TOLERANCES[self.precision] if self.tolerance is None else self.tolerance

    def file_name(self, stem: str, file_format: ExportFormat) -> str:
        """Return the name of the file; options that change it are part of the name.

        Example:
            >>> ExportOptions(precision="int8").file_name("best", "onnx")
            'best-int8.onnx'
        """
        parts = [stem]
        parts += ["no-attention"] if not self.attention else []
        parts += ["tensorrt"] if file_format == "tensorrt" else []
        parts += ["static"] if self.static else []
        parts += ["nms"] if self.selection else []
        parts += ["gates"] if self.gates else []
        parts += [{"float16": "half", "int8": "int8"}[self.precision]] if self.precision != "float32" else []
        return "-".join(parts) + _SUFFIXES[file_format]


def require_supported(options: ExportOptions, file_format: str) -> ExportFormat:
    """Return the format, and raise an error if its files cannot have the properties.

    Raises:
        UnknownNameError: If the format is unknown.
        OptionError: If the format does not support an option.

    Example:
        >>> require_supported(ExportOptions(gates=True), "ncnn")
        Traceback (most recent call last):
            ...
        attendet.errors.OptionError: `gates` must be left out for ncnn; choose onnx, openvino, torch, or tensorrt
    """
    names: dict[str, ExportFormat] = {each: each for each in FORMATS}
    known = names.get(file_format)
    if known is None:
        raise unknown_name("export format", file_format, FORMATS)
    is_asked = {
        "selection": options.selection is not None,
        "gates": options.gates,
        "int8": options.precision == "int8",
        "half": options.precision == "float16",
    }
    for name, (formats, others) in _UNSUPPORTED.items():
        if is_asked[name] and known in formats:
            flag = "nms" if name == "selection" else name
            raise OptionError(f"`{flag}` must be left out for {known}", remedy=f"choose {others}")
    # Found before another format is written, which takes seconds.
    if known == "executorch" and not options.static:
        raise OptionError("`static` must be given for executorch, which plans all memory in advance")
    if known == "ncnn" and options.batch not in (None, 1):
        raise OptionError(f"`batch` must be 1 for ncnn, got {options.batch}")
    return known
