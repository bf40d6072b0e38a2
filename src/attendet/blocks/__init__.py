"""The blocks of YOLOv5, and the rules that turn rows of a model file into blocks.

Importing this package registers the blocks under the names that model files use.
"""

from attendet.blocks.bifpn import WeightedConcat, WeightedSum
from attendet.blocks.conv import Conv, DWConv, Focus, SpaceToDepth
from attendet.blocks.conv_bn_fusion import fuse_conv_bn
from attendet.blocks.criss_cross import CrissCrossAttention
from attendet.blocks.csp import C3, C3SPP, C3TR, Bottleneck, BottleneckCSP, C2f, C3Ghost
from attendet.blocks.ghost import GhostBottleneck, GhostConv
from attendet.blocks.head import Detect
from attendet.blocks.involution import Involution
from attendet.blocks.pool import SPP, SPPF
from attendet.blocks.torch_layers import Concat
from attendet.blocks.transformer import TransformerBlock

__all__ = [
    "C3",
    "C3SPP",
    "C3TR",
    "SPP",
    "SPPF",
    "Bottleneck",
    "BottleneckCSP",
    "C2f",
    "C3Ghost",
    "Concat",
    "Conv",
    "CrissCrossAttention",
    "DWConv",
    "Detect",
    "Focus",
    "GhostBottleneck",
    "GhostConv",
    "Involution",
    "SpaceToDepth",
    "TransformerBlock",
    "WeightedConcat",
    "WeightedSum",
    "fuse_conv_bn",
]
