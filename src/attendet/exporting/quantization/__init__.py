"""Quantization: files whose convolutions compute with 8-bit integers, and the test of their quality."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
