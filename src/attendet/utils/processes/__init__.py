"""Processes: stopping them by signals, starting them safely, and locks that they hold on folders and files."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
