"""Detectors that attendet exported to ONNX, run with numpy, Pillow, and onnxruntime, without torch."""

from attendet_runtime._version import __version__
from attendet_runtime.description import Description
from attendet_runtime.detector import Detections, Detector
from attendet_runtime.drawing import draw_detections
from attendet_runtime.errors import ImageError, RuntimeFileError, UsageError, UserError
from attendet_runtime.images import read_image
from attendet_runtime.maps import SiteMaps, map_on_image, overlay_picture

__all__ = [
    "Description",
    "Detections",
    "Detector",
    "ImageError",
    "RuntimeFileError",
    "SiteMaps",
    "UsageError",
    "UserError",
    "__version__",
    "draw_detections",
    "map_on_image",
    "overlay_picture",
    "read_image",
]
