from .reader import Checkpoint as Checkpoint
from .reader import read_checkpoint as read_checkpoint

__all__ = ["Checkpoint", "read_checkpoint"]
