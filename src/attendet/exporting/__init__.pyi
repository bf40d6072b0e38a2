from .export_options import FORMATS as FORMATS
from .export_options import ExportFormat as ExportFormat
from .export_options import ExportOptions as ExportOptions
from .export_options import SelectionOptions as SelectionOptions
from .network_export import Exported as Exported
from .network_export import export_network as export_network
from .parity import Parity as Parity
from .parity import QualityComparison as QualityComparison
from .subject import ExportData as ExportData
from .subject import ExportSubject as ExportSubject

__all__ = [
    "FORMATS",
    "ExportData",
    "ExportFormat",
    "ExportOptions",
    "ExportSubject",
    "Exported",
    "Parity",
    "QualityComparison",
    "SelectionOptions",
    "export_network",
]
