"""The formats of one network side by side: latency, accuracy, size, and memory."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
