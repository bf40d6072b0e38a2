"""Read model files: rows, dialects of attention rows, and the module of each row."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
