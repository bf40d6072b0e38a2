from .console import LiveTable as LiveTable
from .console import print_skipped as print_skipped
from .console import progress_bar as progress_bar
from .console import step_progress as step_progress
from .data_table import print_data_report as print_data_report
from .explanation_tally import ExplanationTally as ExplanationTally
from .prediction_progress import PredictionProgress as PredictionProgress
from .search_table import SearchTable as SearchTable
from .search_table import candidates_table as candidates_table
from .study_table import StudyTable as StudyTable
from .study_table import arms_table as arms_table
from .tables import table as table
from .training_progress import TrainingProgress as TrainingProgress

__all__ = [
    "ExplanationTally",
    "LiveTable",
    "PredictionProgress",
    "SearchTable",
    "StudyTable",
    "TrainingProgress",
    "arms_table",
    "candidates_table",
    "print_data_report",
    "print_skipped",
    "progress_bar",
    "step_progress",
    "table",
]
