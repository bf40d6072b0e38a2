"""Run a network without changing its state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from attendet.utils.modules import evaluation_mode


@contextmanager
def preserve_state(model: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode without autocast, and restore its state afterwards.

    The state consists of the training flags, the buffers, and the states of the random number generators.

    Args:
        model: Any network.

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
        for device_type in {device.type for device in devices if torch.amp.is_autocast_available(device.type)}:
            # Attention modules get the types of the feature maps, which have to be the types of the network itself.
            stack.enter_context(torch.autocast(device_type, enabled=False))
        stack.enter_context(_restored_buffers(model))
        stack.enter_context(evaluation_mode(model))
        yield


def version_of(tensor: Tensor) -> int:
    """Return how often a tensor was changed in place; 0 for tensors of inference mode, which do not count it."""
    return 0 if tensor.is_inference() else tensor._version


@contextmanager
def _restored_buffers(model: nn.Module) -> Iterator[None]:
    """Restore the buffers that a network changes even in evaluation mode."""
    saved = [
        (module, name, buffer, version_of(buffer), buffer.clone())
        for module in model.modules()
        for name, buffer in module.named_buffers(recurse=False)
    ]
    try:
        yield
    finally:
        for module, name, buffer, version, value in saved:
            if version_of(buffer) != version:
                with torch.no_grad():
                    buffer.copy_(value)
            setattr(module, name, buffer)
