from .cell_records import cell_record as cell_record
from .cell_records import failed_record as failed_record
from .cluster import RayExecutor as RayExecutor
from .costs import measure_costs as measure_costs
from .dry_run import dry_run_arms as dry_run_arms
from .execution import Study as Study
from .execution import StudyRunResult as StudyRunResult
from .execution import run_study as run_study
from .executors import Executor as Executor
from .executors import LocalExecutor as LocalExecutor
from .executors import SilentObserver as SilentObserver
from .executors import StudyObserver as StudyObserver
from .image_matching import collect_matches as collect_matches
from .job import Job as Job
from .job import RunFailure as RunFailure
from .job import run_job as run_job
from .job import try_job as try_job
from .latency_matching import LatencyMatch as LatencyMatch
from .latency_matching import match_arms as match_arms
from .latency_ratio import LatencyRatio as LatencyRatio
from .pairing_checks import find_unpaired as find_unpaired
from .process_executor import ProcessExecutor as ProcessExecutor

__all__ = [
    "Executor",
    "Job",
    "LatencyMatch",
    "LatencyRatio",
    "LocalExecutor",
    "ProcessExecutor",
    "RayExecutor",
    "RunFailure",
    "SilentObserver",
    "Study",
    "StudyObserver",
    "StudyRunResult",
    "cell_record",
    "collect_matches",
    "dry_run_arms",
    "failed_record",
    "find_unpaired",
    "match_arms",
    "measure_costs",
    "run_job",
    "run_study",
    "try_job",
]
