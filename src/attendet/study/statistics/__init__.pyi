from .decisions import Decision as Decision
from .decisions import Verdict as Verdict
from .decisions import decide as decide
from .divergence import divergence_p as divergence_p
from .divergence import does_not_train as does_not_train
from .image_bootstrap import ImageDifference as ImageDifference
from .image_bootstrap import image_difference as image_difference
from .image_bootstrap import mean_average_precision as mean_average_precision
from .joint_tests import simultaneous_intervals as simultaneous_intervals
from .joint_tests import step_down_p as step_down_p
from .paired import PairedDifference as PairedDifference
from .paired import SeedSummary as SeedSummary
from .paired import paired_difference as paired_difference
from .paired import share_interval as share_interval
from .paired import summarize_seeds as summarize_seeds
from .power import min_seeds as min_seeds
from .power import seeds_for as seeds_for
from .power import settle_probability as settle_probability
from .power import smallest_detectable as smallest_detectable
from .power import smallest_margin as smallest_margin
from .power import study_power as study_power
from .resampling import Interval as Interval
from .resampling import mean_interval as mean_interval
from .resampling import sign_flip_p as sign_flip_p
from .sequential import look_levels as look_levels
from .sequential import sequential_decisions as sequential_decisions

__all__ = [
    "Decision",
    "ImageDifference",
    "Interval",
    "PairedDifference",
    "SeedSummary",
    "Verdict",
    "decide",
    "divergence_p",
    "does_not_train",
    "image_difference",
    "look_levels",
    "mean_average_precision",
    "mean_interval",
    "min_seeds",
    "paired_difference",
    "seeds_for",
    "sequential_decisions",
    "settle_probability",
    "share_interval",
    "sign_flip_p",
    "simultaneous_intervals",
    "smallest_detectable",
    "smallest_margin",
    "step_down_p",
    "study_power",
    "summarize_seeds",
]
