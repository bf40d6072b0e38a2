"""The notations of YOLOv5 and of the `yolo` command, rewritten into the notation of attendet."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
