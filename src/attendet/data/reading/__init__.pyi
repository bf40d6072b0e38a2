from .data_file import DataFile as DataFile
from .data_file import SplitEntry as SplitEntry
from .data_file import read_data_file as read_data_file
from .data_source import DataSource as DataSource
from .data_source import open as open  # noqa: A004 - called as attendet.data.open
from .file_cache import cache_path as cache_path
from .file_cache import read_files as read_files
from .label_checks import drop_invalid as drop_invalid
from .label_checks import make_record as make_record

__all__ = [
    "DataFile",
    "DataSource",
    "SplitEntry",
    "cache_path",
    "drop_invalid",
    "make_record",
    "open",
    "read_data_file",
    "read_files",
]
