"""CBAM (Woo et al., ECCV 2018): modules, gates, and the choice between the reference and the fused implementation."""

from attendet.attention.cbam.gates import ChannelGate, SpatialGate
from attendet.attention.cbam.module import CBAM, ChannelAttention, SpatialAttention
from attendet.attention.cbam.ultralytics import UltralyticsCBAM

__all__ = ["CBAM", "ChannelAttention", "ChannelGate", "SpatialAttention", "SpatialGate", "UltralyticsCBAM"]
