"""Blocks of model files that combine a block of YOLO with attention, and their names."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
