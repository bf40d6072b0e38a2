"""Functions of raw maps and decoded boxes, with anchors (YOLOv5) and without (YOLOv8, YOLO11).

Decoding, assignment, and loss exist for both; suppression and everything after it is common.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
