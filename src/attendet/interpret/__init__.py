"""Capture, measure, and explain what the attention modules of a network do."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
