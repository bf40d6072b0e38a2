from .divergence import divergence_p as divergence_p
from .divergence import does_not_train as does_not_train
from .image_bootstrap import ImageDifference as ImageDifference
from .image_bootstrap import describe_images as describe_images
from .image_bootstrap import image_difference as image_difference
from .image_bootstrap import mean_average_precision as mean_average_precision
from .paired import PairedDifference as PairedDifference
from .paired import SeedSummary as SeedSummary
from .paired import holm as holm
from .paired import paired_difference as paired_difference
from .paired import summarize_seeds as summarize_seeds
from .power import min_p_holm as min_p_holm
from .power import min_seeds as min_seeds
from .power import seeds_to_settle as seeds_to_settle
from .power import sign_flip_power as sign_flip_power
from .power import smallest_detectable as smallest_detectable
from .resampling import Interval as Interval
from .resampling import mean_interval as mean_interval
from .resampling import sign_flip_p as sign_flip_p
from .resampling import studentized_interval as studentized_interval
from .verdict import Verdict as Verdict
from .verdict import reach_verdict as reach_verdict
from .verdict import seeds_needed as seeds_needed

__all__ = [
    "ImageDifference",
    "Interval",
    "PairedDifference",
    "SeedSummary",
    "Verdict",
    "describe_images",
    "divergence_p",
    "does_not_train",
    "holm",
    "image_difference",
    "mean_average_precision",
    "mean_interval",
    "min_p_holm",
    "min_seeds",
    "paired_difference",
    "reach_verdict",
    "seeds_needed",
    "seeds_to_settle",
    "sign_flip_p",
    "sign_flip_power",
    "smallest_detectable",
    "studentized_interval",
    "summarize_seeds",
]
