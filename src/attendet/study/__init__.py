"""Studies: arms that differ in one thing, paired by seed, and what their differences can show."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
