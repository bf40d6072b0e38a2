from . import attention as attention
from . import data as data
from . import detection as detection
from . import errors as errors
from . import models as models
from . import study as study
from . import surgery as surgery
from ._version import __version__ as __version__
from .api import TrainingResult as TrainingResult
from .api import benchmark as benchmark
from .api import export as export
from .api import predict as predict
from .api import train as train
from .api import validate as validate
from .attention import BAM as BAM
from .attention import CBAM as CBAM
from .attention import ECA as ECA
from .attention import EMA as EMA
from .attention import GAM as GAM
from .attention import LSK as LSK
from .attention import NAM as NAM
from .attention import SCSE as SCSE
from .attention import ChannelAttention as ChannelAttention
from .attention import CoordinateAttention as CoordinateAttention
from .attention import GlobalContext as GlobalContext
from .attention import SelectiveKernel as SelectiveKernel
from .attention import ShuffleAttention as ShuffleAttention
from .attention import SimAM as SimAM
from .attention import SpatialAttention as SpatialAttention
from .attention import SqueezeExcite as SqueezeExcite
from .attention import TripletAttention as TripletAttention
from .attention import UltralyticsCBAM as UltralyticsCBAM
from .attention import create as create
from .errors import AttendetError as AttendetError
from .errors import AttendetWarning as AttendetWarning
from .exporting import Exported as Exported
from .interpret.image import Explanation as Explanation
from .interpret.image import explain as explain
from .models import Detector as Detector
from .models import build as build
from .prediction.predictor import Predictor as Predictor
from .surgery import Attachment as Attachment
from .surgery import attach as attach
from .surgery import attached as attached
from .surgery import describe as describe
from .surgery import disabled as disabled
from .surgery import fuse as fuse
from .training.config import TrainConfig as TrainConfig
from .weights import LoadReport as LoadReport
from .weights import OpenedDetector as OpenedDetector
from .weights import load_weights as load_weights
from .weights import open as open  # noqa: A004 - called as attendet.open
from .weights import save_weights as save_weights

__all__ = [
    "BAM",
    "CBAM",
    "ECA",
    "EMA",
    "GAM",
    "LSK",
    "NAM",
    "SCSE",
    "Attachment",
    "AttendetError",
    "AttendetWarning",
    "ChannelAttention",
    "CoordinateAttention",
    "Detector",
    "Explanation",
    "Exported",
    "GlobalContext",
    "LoadReport",
    "OpenedDetector",
    "Predictor",
    "SelectiveKernel",
    "ShuffleAttention",
    "SimAM",
    "SpatialAttention",
    "SqueezeExcite",
    "TrainConfig",
    "TrainingResult",
    "TripletAttention",
    "UltralyticsCBAM",
    "__version__",
    "attach",
    "attached",
    "attention",
    "benchmark",
    "build",
    "create",
    "data",
    "describe",
    "detection",
    "disabled",
    "errors",
    "explain",
    "export",
    "fuse",
    "load_weights",
    "models",
    "open",
    "predict",
    "save_weights",
    "study",
    "surgery",
    "train",
    "validate",
]
