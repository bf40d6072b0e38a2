"""The functions of `import attendet` that combine several packages: train, validate, predict."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
