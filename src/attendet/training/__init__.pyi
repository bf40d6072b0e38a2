from .config import TrainConfig as TrainConfig
from .config import build_config as build_config
from .config import setting_names as setting_names
from .hyperparameters import Hyperparameters as Hyperparameters
from .hyperparameters import read_hyperparameters as read_hyperparameters
from .recipe import TrainingRecipe as TrainingRecipe
from .recipe import choose_recipe as choose_recipe
from .reporter import NullReporter as NullReporter
from .reporter import Reporter as Reporter
from .run_folder import RunFolder as RunFolder
from .run_folder import RunRecord as RunRecord
from .run_folder import read_results as read_results
from .run_folder import read_run as read_run
from .runner import config_to_resume as config_to_resume
from .runner import train as train

__all__ = [
    "Hyperparameters",
    "NullReporter",
    "Reporter",
    "RunFolder",
    "RunRecord",
    "TrainConfig",
    "TrainingRecipe",
    "build_config",
    "choose_recipe",
    "config_to_resume",
    "read_hyperparameters",
    "read_results",
    "read_run",
    "setting_names",
    "train",
]
