"""Attention modules for convolutional networks: features in, features of the same shape out.

Importing this package registers the modules under their names, see `create` and `names`.
"""

from attendet.attention.bam import BAM
from attendet.attention.base import AdditiveTerm, Attention, AttentionWeights, Gate, SoftmaxWeights
from attendet.attention.catalog import create, names, options_of
from attendet.attention.cbam.module import CBAM, ChannelAttention, SpatialAttention
from attendet.attention.cbam.ultralytics import UltralyticsCBAM
from attendet.attention.controls import ControlConv1x1, ControlIdentity, ControlNoiseGate
from attendet.attention.coordinate import CoordinateAttention
from attendet.attention.eca import ECA
from attendet.attention.efficient_multiscale import EMA
from attendet.attention.gam import GAM
from attendet.attention.global_context import GlobalContext
from attendet.attention.lsk import LSK
from attendet.attention.nam import NAM
from attendet.attention.scse import SCSE
from attendet.attention.selective_kernel import SelectiveKernel
from attendet.attention.shuffle import ShuffleAttention
from attendet.attention.simam import SimAM
from attendet.attention.squeeze_excite import SqueezeExcite
from attendet.attention.triplet import TripletAttention

__all__ = [
    "BAM",
    "CBAM",
    "ECA",
    "EMA",
    "GAM",
    "LSK",
    "NAM",
    "SCSE",
    "AdditiveTerm",
    "Attention",
    "AttentionWeights",
    "ChannelAttention",
    "ControlConv1x1",
    "ControlIdentity",
    "ControlNoiseGate",
    "CoordinateAttention",
    "Gate",
    "GlobalContext",
    "SelectiveKernel",
    "ShuffleAttention",
    "SimAM",
    "SoftmaxWeights",
    "SpatialAttention",
    "SqueezeExcite",
    "TripletAttention",
    "UltralyticsCBAM",
    "create",
    "names",
    "options_of",
]
