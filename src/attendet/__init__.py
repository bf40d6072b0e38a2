"""Attention for convolutional networks, a YOLOv5 to use it in, and an honest answer to whether it helped."""

from importlib import import_module
from typing import TYPE_CHECKING

from attendet._version import __version__

if TYPE_CHECKING:
    from attendet import attention
    from attendet.interpret.image.explanation import Explanation, explain
    from attendet.models import Detector, build
    from attendet.prediction.predictor import Predictor
    from attendet.surgery import Attachment, attach, attached, describe, disabled, fuse
    from attendet.weights.io import LoadReport, load_weights, save_weights

__all__ = [
    "Attachment",
    "Detector",
    "Explanation",
    "LoadReport",
    "Predictor",
    "__version__",
    "attach",
    "attached",
    "attention",
    "build",
    "describe",
    "disabled",
    "explain",
    "fuse",
    "load_weights",
    "save_weights",
]


def __getattr__(name: str) -> object:
    # Torch takes seconds to import; `attendet --help` should not wait for it.
    match name:
        case "Detector" | "build":
            room = "attendet.models"
        case "LoadReport" | "load_weights" | "save_weights":
            room = "attendet.weights.io"
        case "Attachment" | "attach" | "attached" | "describe" | "disabled" | "fuse":
            room = "attendet.surgery"
        # The room is called otherwise: a package attendet.explain would take the function's place once it is imported.
        case "Explanation" | "explain":
            room = "attendet.interpret.image.explanation"
        case "Predictor":
            room = "attendet.prediction.predictor"
        case "attention":
            return import_module("attendet.attention")
        case _:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(room), name)
