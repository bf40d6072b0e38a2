"""The blocks of YOLOv5, and the rules that turn rows of a model file into blocks.

Importing this package registers the blocks under the names that model files use.
"""

from attendet.blocks.conv import Conv, DWConv, Focus
from attendet.blocks.conv_bn_fusion import fuse_conv_bn
from attendet.blocks.csp import C3, C3SPP, C3TR, Bottleneck, BottleneckCSP, C2f, C3Ghost
from attendet.blocks.ghost import GhostBottleneck, GhostConv
from attendet.blocks.head import Detect
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
    "DWConv",
    "Detect",
    "Focus",
    "GhostBottleneck",
    "GhostConv",
    "TransformerBlock",
    "fuse_conv_bn",
]
