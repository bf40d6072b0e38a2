"""What a checkpoint says about an attention row: its shapes decide what the row's arguments leave open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor


def cbam_options(state: Mapping[str, Tensor], row: int) -> dict[str, Any]:
    """Return CBAM's options as the tensors saved for a row show them, whatever the tensors are called.

    The matrix of the channel MLP, (hidden, C) or as a 1x1 convolution, gives the reduction; the spatial convolution,
    (1, planes, k, k), the kernel; biases and a norm the variant. What no tensor shows is left out.

    Args:
        state: A state dict with keys `model.{row}.…`.
        row: The row's number.

    Example:
        >>> from attendet.attention import CBAM
        >>> saved = {f"model.9.{key}": value for key, value in CBAM(64, 8, 3).state_dict().items()}
        >>> cbam_options(saved, 9)
        {'reduction': 8, 'kernel_size': 3, 'variant': 'plain'}
    """
    prefix = f"model.{row}."
    tensors = {key: value for key, value in state.items() if key.startswith(prefix)}
    options: dict[str, Any] = {}
    for tensor in tensors.values():
        match tuple(tensor.shape):
            case (hidden, channels) | (hidden, channels, 1, 1) if 1 < hidden < channels:
                quotient, remainder = divmod(channels, hidden)
                options["reduction"] = channels / hidden if remainder else quotient
            case (1, planes, height, width) if planes <= 4 and height == width > 1:
                options["kernel_size"] = height
    if options:
        normed = any(key.endswith("running_mean") for key in tensors)
        biased = any(key.endswith("bias") and tensor.numel() > 1 for key, tensor in tensors.items())
        options["variant"] = ("authors" if biased else "timm") if normed else "plain"
    return options
