"""Networks and their weights: one from the other, whatever wrote the file."""

from attendet.checkpoints.report import LoadReport
from attendet.model.load import load_weights
from attendet.model.open import open_detector, weights_file
from attendet.model.save import save_weights

__all__ = ["LoadReport", "load_weights", "open_detector", "save_weights", "weights_file"]
