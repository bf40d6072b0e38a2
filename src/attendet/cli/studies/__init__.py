"""`attendet study`: one file for the steps of a study, one for joining, one for searching."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
