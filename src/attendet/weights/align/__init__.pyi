from .alignment import AlignedTensors as AlignedTensors
from .alignment import align_tensors as align_tensors
from .load_report import LoadReport as LoadReport

__all__ = ["AlignedTensors", "LoadReport", "align_tensors"]
