from .forecast import StudyForecast as StudyForecast
from .joining import JoinedReport as JoinedReport
from .reporting.outcome import StudyReport as StudyReport
from .reporting.publishing import Published as Published
from .runs.execution import Study as Study
from .runs.execution import StudyRunResult as StudyRunResult
from .runs.latency_matching import LatencyMatch as LatencyMatch
from .search_workflow import search as search
from .searching.search_records import SearchRecord as SearchRecord
from .workflow import join as join
from .workflow import make_executor as make_executor
from .workflow import match_latency as match_latency
from .workflow import open_study as open_study
from .workflow import plan as plan
from .workflow import report as report
from .workflow import run as run

__all__ = [
    "JoinedReport",
    "LatencyMatch",
    "Published",
    "SearchRecord",
    "Study",
    "StudyForecast",
    "StudyReport",
    "StudyRunResult",
    "join",
    "make_executor",
    "match_latency",
    "open_study",
    "plan",
    "report",
    "run",
    "search",
]
