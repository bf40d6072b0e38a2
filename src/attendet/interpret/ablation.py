"""Weights that are the same for every image, in place of those that attention computes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn


@contextmanager
def hold_constant(model: nn.Module, means: Mapping[str, Tensor]) -> Iterator[None]:
    """Let modules of weights give one number for each channel, whatever they see.

    What is left is a scale of channels: no attention, for nothing depends on the image or the position any more.

    Args:
        model: The network.
        means: By path of the module of weights: (K,) its numbers, K being its channels, or its branches times channels.

    Example:
        >>> import torch, attendet
        >>> model, x = attendet.attention.create("se", 32, reduction=4), torch.rand(2, 32, 8, 8)
        >>> with hold_constant(model, {"gate": torch.full((32,), 0.5)}):
        ...     halved = model(x)
        >>> torch.equal(halved, x / 2)
        True
    """
    with ExitStack() as stack:
        for path, numbers in means.items():
            handle = model.get_submodule(path).register_forward_hook(partial(_constant, numbers))
            stack.callback(handle.remove)
        yield


def _constant(numbers: Tensor, module: nn.Module, inputs: Any, weights: Tensor) -> Tensor:  # noqa: ARG001
    # Between images and positions: C of (N, C, H, W), M and C of (N, M, C, 1, 1); (C, 1, 1) has no images.
    channels = weights.shape[weights.ndim > 3 : -2]
    return numbers.to(weights.dtype).to(weights.device).reshape(*channels, 1, 1).expand_as(weights)
