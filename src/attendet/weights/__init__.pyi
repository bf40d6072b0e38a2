from .formats.reader import Checkpoint as Checkpoint
from .formats.reader import read_checkpoint as read_checkpoint

__all__ = ["Checkpoint", "read_checkpoint"]
