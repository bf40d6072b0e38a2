from .anchor_based import Detect as Detect
from .anchor_free import AnchorFreeDetect as AnchorFreeDetect
from .detection_head import DetectionHead as DetectionHead
from .distribution import DFL as DFL

__all__ = ["DFL", "AnchorFreeDetect", "Detect", "DetectionHead"]
