"""Peak memory of a computation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def peak_bytes(model: torch.nn.Module, call: Callable[[], object], device: torch.device) -> int:
    """Return the peak number of bytes in tensors while a function runs, including the model's weights.

    On CUDA the allocator's statistics are used, which include temporary memory of kernels. Elsewhere the outputs of all
    operations are counted while they exist; temporary memory inside an operation is not.

    Args:
        model: The model whose weights are included.
        call: The function to measure.
        device: The device that it runs on.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        call()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before + _weights(model)
    with LivingTensors() as living:
        call()
    return living.peak + _weights(model)


def _weights(model: torch.nn.Module) -> int:
    return sum(value.numel() * value.element_size() for value in model.state_dict().values())


class LivingTensors(TorchDispatchMode):
    """Counts the bytes of the outputs of all operations while they exist.

    Attributes:
        peak: Largest number of bytes so far.

    Example:
        >>> with LivingTensors() as living:
        ...     a = torch.zeros(1000)
        ...     b = a + 1
        ...     del a
        ...     c = b.view(10, 100) + 1
        >>> living.peak
        8000
    """

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and count its outputs."""
        given = {_storage(value) for value in tree_leaves((args, kwargs)) if isinstance(value, torch.Tensor)}
        output = func(*args, **(kwargs or {}))
        self._alive = {key: entry for key, entry in self._alive.items() if not entry[0].expired()}
        for value in tree_leaves(output):
            # Views and in-place results need no new memory.
            if isinstance(value, torch.Tensor) and _storage(value) not in given:
                storage = value.untyped_storage()
                self._alive[_storage(value)] = (StorageWeakRef(storage), storage.nbytes())
        self.peak = max(self.peak, sum(size for _, size in self._alive.values()))
        return output


def _storage(value: torch.Tensor) -> int:
    return value.untyped_storage()._cdata  # noqa: SLF001 - the identity that torch's weak references use
