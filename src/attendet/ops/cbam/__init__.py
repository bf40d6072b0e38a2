"""CBAM as a function of tensors: a reference in plain torch, and fused operators for CPUs and GPUs."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
