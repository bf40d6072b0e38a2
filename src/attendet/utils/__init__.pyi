from .devices import resolve_device as resolve_device
from .io import new_run_folder as new_run_folder
from .io import read_json as read_json
from .io import write_atomically as write_atomically
from .io import write_csv as write_csv
from .io import write_json as write_json
from .io import write_text as write_text
from .provenance import versions as versions
from .settings import StrictModel as StrictModel
from .text import plural as plural
from .text import printable as printable
from .text import short_repr as short_repr
from .text import shorten as shorten

__all__ = [
    "StrictModel",
    "new_run_folder",
    "plural",
    "printable",
    "read_json",
    "resolve_device",
    "short_repr",
    "shorten",
    "versions",
    "write_atomically",
    "write_csv",
    "write_json",
    "write_text",
]
