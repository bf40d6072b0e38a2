"""Attention modules for convolutional networks: features in, features of the same shape out."""

from attendet.attention.bam import BAM
from attendet.attention.base import Addend, Attention, Gate, Shares, Weights
from attendet.attention.catalog import create, names
from attendet.attention.cbam.module import CBAM, ChannelAttention, SpatialAttention
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
    "Addend",
    "Attention",
    "ChannelAttention",
    "ControlConv1x1",
    "ControlIdentity",
    "ControlNoiseGate",
    "CoordinateAttention",
    "Gate",
    "GlobalContext",
    "SelectiveKernel",
    "Shares",
    "ShuffleAttention",
    "SimAM",
    "SpatialAttention",
    "SqueezeExcite",
    "TripletAttention",
    "Weights",
    "create",
    "names",
]
