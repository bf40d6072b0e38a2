"""Explain what the attention of a network looks at in single images, and what it changes."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
