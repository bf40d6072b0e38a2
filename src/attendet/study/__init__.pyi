from .forecast import StudyForecast as StudyForecast
from .reporting.outcome import StudyReport as StudyReport
from .reporting.publishing import Published as Published
from .runs.execution import Study as Study
from .runs.execution import StudyRunResult as StudyRunResult
from .workflow import make_executor as make_executor
from .workflow import open_study as open_study
from .workflow import plan as plan
from .workflow import report as report
from .workflow import run as run

__all__ = [
    "Published",
    "Study",
    "StudyForecast",
    "StudyReport",
    "StudyRunResult",
    "make_executor",
    "open_study",
    "plan",
    "report",
    "run",
]
