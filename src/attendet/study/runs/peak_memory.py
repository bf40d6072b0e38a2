"""The most memory that a computation has in use at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def peak_bytes(model: torch.nn.Module, call: Callable[[], object], device: torch.device) -> int:
    """Return the most bytes of tensors in use at once while `call` runs, the model's weights among them.

    On CUDA the allocator counts, with what its kernels borrow; elsewhere the tensors that operations give are counted
    while they live, and what an operation borrows inside itself is not.

    Args:
        model: Whose weights count.
        call: What is measured; what it makes and lets go of counts.
        device: Where it computes.
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
    """Counts the bytes of tensors that operations give, while they live.

    Attributes:
        peak: The most so far.

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
        """Run an operation, and count."""
        given = {_storage(value) for value in tree_leaves((args, kwargs)) if isinstance(value, torch.Tensor)}
        output = func(*args, **(kwargs or {}))
        self._alive = {key: entry for key, entry in self._alive.items() if not entry[0].expired()}
        for value in tree_leaves(output):
            # A view, or what was changed in place, takes nothing new.
            if isinstance(value, torch.Tensor) and _storage(value) not in given:
                storage = value.untyped_storage()
                self._alive[_storage(value)] = (StorageWeakRef(storage), storage.nbytes())
        self.peak = max(self.peak, sum(size for _, size in self._alive.values()))
        return output


def _storage(value: torch.Tensor) -> int:
    return value.untyped_storage()._cdata  # noqa: SLF001 - as torch's own weak references know it
