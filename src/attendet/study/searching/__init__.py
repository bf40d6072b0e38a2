"""Searches: many candidates with one seed, and the draft of a study of the best."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
