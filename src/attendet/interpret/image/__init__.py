"""Explanations of images: where the attention of a network looks, and how it changes the output."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
