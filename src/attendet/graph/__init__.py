"""From YOLOv5-style model files to networks."""

from attendet.graph.build import build, load
from attendet.graph.composites import C3CBAM, CBAMC3, BottleneckCBAM, C2fCBAM, ConvCBAM
from attendet.graph.detector import Detector

__all__ = ["C3CBAM", "CBAMC3", "BottleneckCBAM", "C2fCBAM", "ConvCBAM", "Detector", "build", "load"]
