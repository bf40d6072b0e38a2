"""Read weights files of many formats without running code from them, load them into networks, and save them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
