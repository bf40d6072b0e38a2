"""Files of weights of all kinds, read without running anything that stands in them."""

from attendet.checkpoints.checkpoint import Checkpoint
from attendet.checkpoints.read import read_checkpoint

__all__ = ["Checkpoint", "read_checkpoint"]
