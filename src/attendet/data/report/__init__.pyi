from .data_report import DataReport as DataReport
from .data_report import check as check
from .data_report import make_data_report as make_data_report
from .overview import draw_overview as draw_overview
from .overview import overview_figure as overview_figure
from .report_table import TableRow as TableRow
from .split_statistics import BoxSizes as BoxSizes
from .split_statistics import SplitStatistics as SplitStatistics

__all__ = [
    "BoxSizes",
    "DataReport",
    "SplitStatistics",
    "TableRow",
    "check",
    "draw_overview",
    "make_data_report",
    "overview_figure",
]
