"""Attention for convolutional networks, a YOLOv5 to use it in, and an honest answer to whether it helped."""

from importlib import import_module
from typing import TYPE_CHECKING

from attendet._version import __version__

if TYPE_CHECKING:
    from attendet import attention
    from attendet.graph import Detector, build
    from attendet.predict.predictor import Predictor

__all__ = ["Detector", "Predictor", "__version__", "attention", "build"]


def __getattr__(name: str) -> object:
    # Torch takes seconds to import; `attendet --help` should not wait for it.
    if name in ("Detector", "build"):
        return getattr(import_module("attendet.graph"), name)
    if name == "Predictor":
        return import_module("attendet.predict.predictor").Predictor
    if name == "attention":
        return import_module("attendet.attention")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
