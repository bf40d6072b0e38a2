"""When memory does not suffice: the many errors that say so."""

from __future__ import annotations

import errno

import torch


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory did not suffice, a processor's or a GPU's.

    Example:
        >>> is_out_of_memory(MemoryError()), is_out_of_memory(RuntimeError("sizes do not match"))
        (True, False)
    """
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    # Torch's error for a processor's memory has no class of its own.
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)
