"""A network that runs once and is then as it was before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from attendet.utils.modules import evaluation_mode


@contextmanager
def preserve_state(model: nn.Module) -> Iterator[None]:
    """Put a network into evaluation, without autocast; take back the flags, what it drew at random, and its buffers.

    Example:
        >>> norm, state = nn.BatchNorm2d(4), torch.get_rng_state()
        >>> with preserve_state(norm):
        ...     _ = norm(torch.rand(1, 4, 8, 8)), norm.running_mean.add_(1)
        >>> norm.training, norm.running_mean.sum().item(), torch.equal(torch.get_rng_state(), state)
        (True, 0.0, True)
    """
    devices = {parameter.device for parameter in model.parameters()}
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng({device.index for device in devices if device.type == "cuda"}))
        for kind in {device.type for device in devices if torch.amp.is_autocast_available(device.type)}:
            # Maps have the types of the network itself, and so will what is made for them.
            stack.enter_context(torch.autocast(kind, enabled=False))
        stack.enter_context(_buffers_kept(model))
        stack.enter_context(evaluation_mode(model))
        yield


def version_of(tensor: Tensor) -> int:
    """Return how often a tensor was changed in place; tensors of inference mode do not count it."""
    return 0 if tensor.is_inference() else tensor._version


@contextmanager
def _buffers_kept(model: nn.Module) -> Iterator[None]:
    """Take back what a network writes into its buffers even in evaluation."""
    kept = [
        (module, name, buffer, version_of(buffer), buffer.clone())
        for module in model.modules()
        for name, buffer in module.named_buffers(recurse=False)
    ]
    try:
        yield
    finally:
        for module, name, buffer, version, value in kept:
            if version_of(buffer) != version:
                with torch.no_grad():
                    buffer.copy_(value)
            setattr(module, name, buffer)
