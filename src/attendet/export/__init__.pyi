from .exporting import Exported as Exported
from .exporting import export_network as export_network
from .options import FORMATS as FORMATS
from .options import ExportFormat as ExportFormat
from .options import ExportOptions as ExportOptions
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
    "export_network",
]
