"""Networks and their weights: one from the other, whatever wrote the file."""

from attendet.weights.align.load_report import LoadReport
from attendet.weights.io.loading import load_weights
from attendet.weights.io.opening import open_detector, weights_file
from attendet.weights.io.saving import save_weights

__all__ = ["LoadReport", "load_weights", "open_detector", "save_weights", "weights_file"]
