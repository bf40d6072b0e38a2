"""Attention modules for convolutional networks, YOLOv5 to use them in, and studies of whether they helped."""

import lazy_loader

# torch takes seconds to import, so every name is imported on first use. The stub `__init__.pyi` is the table of names.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
