"""Functions of YOLOv5's raw maps and decoded boxes: decoding, suppression, assignment, loss, and anchors."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
