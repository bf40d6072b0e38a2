from .dialects import DIALECT_NAMES as DIALECT_NAMES
from .dialects import DIALECTS as DIALECTS
from .dialects import Dialect as Dialect
from .dialects import Reading as Reading
from .lookup import load_model_file as load_model_file
from .model_file import LayerRow as LayerRow
from .model_file import ModelFile as ModelFile
from .model_file import RowSource as RowSource
from .model_file import read_model_file as read_model_file
from .row_planning import PlannedRow as PlannedRow

__all__ = [
    "DIALECTS",
    "DIALECT_NAMES",
    "Dialect",
    "LayerRow",
    "ModelFile",
    "PlannedRow",
    "Reading",
    "RowSource",
    "load_model_file",
    "read_model_file",
]
