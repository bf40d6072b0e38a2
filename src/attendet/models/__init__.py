"""Build, check, and summarize YOLOv5-style detectors that model files describe."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
