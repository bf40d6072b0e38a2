"""Attention modules for convolutional networks: features in, features of the same shape out."""

from attendet.attention.bam import BAM
from attendet.attention.base import Attention, Gate
from attendet.attention.catalog import create, names
from attendet.attention.cbam import CBAM, ChannelAttention, SpatialAttention

__all__ = ["BAM", "CBAM", "Attention", "ChannelAttention", "Gate", "SpatialAttention", "create", "names"]
