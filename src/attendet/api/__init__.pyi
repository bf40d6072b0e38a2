from .benchmarking import benchmark as benchmark
from .exporting import export as export
from .prediction import predict as predict
from .training import TrainingResult as TrainingResult
from .training import train as train
from .validation import validate as validate

__all__ = ["TrainingResult", "benchmark", "export", "predict", "train", "validate"]
