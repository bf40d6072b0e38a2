"""From YOLOv5-style model files to networks."""

from attendet.graph.build import build
from attendet.graph.composites import C3CBAM, CBAMC3, BottleneckCBAM, C2fCBAM, ConvCBAM
from attendet.graph.detector import Detector
from attendet.graph.files import load

__all__ = ["C3CBAM", "CBAMC3", "BottleneckCBAM", "C2fCBAM", "ConvCBAM", "Detector", "build", "load"]
