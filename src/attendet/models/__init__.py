"""From YOLOv5-style model files to networks."""

from attendet.models.builder import build
from attendet.models.composites import C3CBAM, CBAMC3, BottleneckCBAM, C2fCBAM, ConvCBAM
from attendet.models.detector import Detector
from attendet.models.yaml.lookup import load_model_file

__all__ = ["C3CBAM", "CBAMC3", "BottleneckCBAM", "C2fCBAM", "ConvCBAM", "Detector", "build", "load_model_file"]
