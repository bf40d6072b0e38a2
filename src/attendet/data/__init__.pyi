from .conversion import ConversionResult as ConversionResult
from .conversion import convert as convert
from .download.public_data import PublicSet as PublicSet
from .download.public_data import get as get
from .download.public_data import public_sets as public_sets
from .images import ImageInfo as ImageInfo
from .images import read_image as read_image
from .images import read_image_info as read_image_info
from .reading.data_source import DataSource as DataSource
from .reading.data_source import open as open  # noqa: A004 - called as attendet.data.open
from .reading.label_checks import drop_invalid as drop_invalid
from .records import ImageRecord as ImageRecord
from .records import ImageRecords as ImageRecords
from .records import Problem as Problem
from .records import ProblemKind as ProblemKind
from .records import Split as Split
from .report.data_report import DataReport as DataReport
from .report.data_report import check as check
from .report.overview import draw_overview as draw_overview

__all__ = [
    "ConversionResult",
    "DataReport",
    "DataSource",
    "ImageInfo",
    "ImageRecord",
    "ImageRecords",
    "Problem",
    "ProblemKind",
    "PublicSet",
    "Split",
    "check",
    "convert",
    "draw_overview",
    "drop_invalid",
    "get",
    "open",
    "public_sets",
    "read_image",
    "read_image_info",
]
