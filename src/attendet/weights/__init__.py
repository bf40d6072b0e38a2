"""Files of weights of all kinds, read without running anything that stands in them."""

from attendet.weights.formats.checkpoint import Checkpoint
from attendet.weights.formats.reader import read_checkpoint

__all__ = ["Checkpoint", "read_checkpoint"]
