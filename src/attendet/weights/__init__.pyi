from .align.load_report import LoadReport as LoadReport
from .formats.reader import Checkpoint as Checkpoint
from .formats.reader import read_checkpoint as read_checkpoint
from .io.model_card import ModelCard as ModelCard
from .io.opening import OpenedDetector as OpenedDetector
from .io.opening import open as open  # noqa: A004 - called as attendet.open
from .io.saving import save_weights as save_weights
from .io.weight_loading import load_weights as load_weights

__all__ = [
    "Checkpoint",
    "LoadReport",
    "ModelCard",
    "OpenedDetector",
    "load_weights",
    "open",
    "read_checkpoint",
    "save_weights",
]
