from .model_card import ModelCard as ModelCard
from .opening import OpenedDetector as OpenedDetector
from .opening import open as open  # noqa: A004 - called as attendet.open
from .opening import resolve_weights_path as resolve_weights_path
from .saving import save_weights as save_weights
from .weight_loading import load_weights as load_weights

__all__ = ["ModelCard", "OpenedDetector", "load_weights", "open", "resolve_weights_path", "save_weights"]
