"""Detection heads: from feature maps to raw maps, and from these to predictions and to a loss."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
