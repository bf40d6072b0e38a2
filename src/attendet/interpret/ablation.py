"""Ablation of attention: constants instead of the weights that it computes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn


@contextmanager
def hold_constant(model: nn.Module, means: Mapping[str, Tensor]) -> Iterator[None]:
    """Make parts of attention modules return constants, one per channel, as long as the block runs.

    The features are then scaled by constants that depend neither on the image nor on the position.

    Args:
        model: The network.
        means: The constants (K,) by the path of the part; K is its number of channels, or of branches times channels.

    Example:
        >>> import torch, attendet
        >>> model, x = attendet.attention.create("se", 32, reduction=4), torch.rand(2, 32, 8, 8)
        >>> with hold_constant(model, {"gate": torch.full((32,), 0.5)}):
        ...     halved = model(x)
        >>> torch.equal(halved, x / 2)
        True
    """
    with ExitStack() as stack:
        for path, constants in means.items():
            handle = model.get_submodule(path).register_forward_hook(partial(_constant, constants))
            stack.callback(handle.remove)
        yield


def _constant(constants: Tensor, module: nn.Module, inputs: Any, weights: Tensor) -> Tensor:  # noqa: ARG001
    # The axes between images and positions: C of (N, C, H, W), and M and C of (N, M, C, 1, 1). (C, 1, 1) has no images.
    channels = weights.shape[weights.ndim > 3 : -2]
    return constants.to(weights.dtype).to(weights.device).reshape(*channels, 1, 1).expand_as(weights)
