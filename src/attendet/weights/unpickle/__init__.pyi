from .machine import read_pickle as read_pickle
from .placeholders import PickledName as PickledName
from .placeholders import PickledObject as PickledObject
from .placeholders import StorageSpec as StorageSpec
from .placeholders import TensorSpec as TensorSpec
from .tensors import TensorBuilder as TensorBuilder

__all__ = ["PickledName", "PickledObject", "StorageSpec", "TensorBuilder", "TensorSpec", "read_pickle"]
