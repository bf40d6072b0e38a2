from .prediction import predict as predict
from .training import TrainingResult as TrainingResult
from .training import train as train
from .validation import validate as validate

__all__ = ["TrainingResult", "predict", "train", "validate"]
