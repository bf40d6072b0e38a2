"""The numbers and the problems of a data set, as a report and as a figure."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
