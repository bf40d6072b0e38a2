from .capture import AttentionPass as AttentionPass
from .capture import GateOutput as GateOutput
from .capture import attention_sites as attention_sites
from .capture import capture_attention as capture_attention
from .dataset.surveying import hold_constant as hold_constant
from .image_region import ImageRegion as ImageRegion
from .image_region import regions_of as regions_of
from .maps import channel_weights as channel_weights
from .maps import find_join as find_join
from .maps import spatial_weights as spatial_weights
from .object_overlap import ObjectOverlap as ObjectOverlap
from .object_overlap import overlap_with_objects as overlap_with_objects
from .site_statistics import PartStatistics as PartStatistics
from .site_statistics import SiteStatistics as SiteStatistics
from .site_statistics import SiteStatisticsCollector as SiteStatisticsCollector

__all__ = [
    "AttentionPass",
    "GateOutput",
    "ImageRegion",
    "ObjectOverlap",
    "PartStatistics",
    "SiteStatistics",
    "SiteStatisticsCollector",
    "attention_sites",
    "capture_attention",
    "channel_weights",
    "find_join",
    "hold_constant",
    "overlap_with_objects",
    "regions_of",
    "spatial_weights",
]
