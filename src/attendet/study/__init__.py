"""Studies: arms that differ in one thing, compared in pairs of the same seed."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
