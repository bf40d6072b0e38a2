"""Decoding of image files: their formats, the memory they need, and files with faults."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
