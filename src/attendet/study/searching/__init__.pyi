from .drafting import draft_study as draft_study
from .search_design import SearchDesign as SearchDesign
from .search_design import Space as Space
from .search_design import parse_search as parse_search
from .search_design import read_search as read_search
from .search_records import Candidate as Candidate
from .search_records import SearchFolder as SearchFolder
from .search_records import SearchRecord as SearchRecord
from .search_run import Search as Search
from .search_run import SearchObserver as SearchObserver
from .search_run import run_search as run_search

__all__ = [
    "Candidate",
    "Search",
    "SearchDesign",
    "SearchFolder",
    "SearchObserver",
    "SearchRecord",
    "Space",
    "draft_study",
    "parse_search",
    "read_search",
    "run_search",
]
