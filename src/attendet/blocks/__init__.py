"""The blocks of YOLOv5, YOLOv8, and YOLO11, and the rules that turn rows of a model file into blocks.

Importing this package registers the blocks under the names that model files use.
"""

from attendet.blocks.bifpn import WeightedConcat, WeightedSum
from attendet.blocks.conv import Conv, DWConv, Focus, SpaceToDepth
from attendet.blocks.conv_bn_fusion import fuse_conv_bn
from attendet.blocks.criss_cross import CrissCrossAttention
from attendet.blocks.csp import C3, C3SPP, C3TR, Bottleneck, BottleneckCSP, C3Ghost, C3k
from attendet.blocks.ghost import GhostBottleneck, GhostConv
from attendet.blocks.heads.anchor_based import Detect
from attendet.blocks.heads.anchor_free import AnchorFreeDetect
from attendet.blocks.heads.detection_head import DetectionHead
from attendet.blocks.heads.distribution import DFL
from attendet.blocks.involution import Involution
from attendet.blocks.pool import SPP, SPPF
from attendet.blocks.position_attention import C2PSA
from attendet.blocks.split_csp import C2f, C3k2
from attendet.blocks.torch_layers import Concat
from attendet.blocks.transformer import TransformerBlock

__all__ = [
    "C2PSA",
    "C3",
    "C3SPP",
    "C3TR",
    "DFL",
    "SPP",
    "SPPF",
    "AnchorFreeDetect",
    "Bottleneck",
    "BottleneckCSP",
    "C2f",
    "C3Ghost",
    "C3k",
    "C3k2",
    "Concat",
    "Conv",
    "CrissCrossAttention",
    "DWConv",
    "Detect",
    "DetectionHead",
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
