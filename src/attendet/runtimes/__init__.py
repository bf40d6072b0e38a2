"""The runtimes of detectors: torch and the libraries of exported files, behind one interface."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
