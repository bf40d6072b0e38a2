from .availability import unsupported_device_reason as unsupported_device_reason
from .availability import unsupported_reason as unsupported_reason
from .availability import warn_of_fallback as warn_of_fallback
from .operators import fused_cbam as fused_cbam
from .reference import BatchStatistics as BatchStatistics
from .reference import ChannelNet as ChannelNet
from .reference import SpatialNet as SpatialNet
from .reference import reference_cbam as reference_cbam

__all__ = [
    "BatchStatistics",
    "ChannelNet",
    "SpatialNet",
    "fused_cbam",
    "reference_cbam",
    "unsupported_device_reason",
    "unsupported_reason",
    "warn_of_fallback",
]
