"""What a checkpoint says about an attention row: its shapes decide what the row's arguments leave open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor


def cbam_options(state: Mapping[str, Tensor], row: int, channels: int) -> dict[str, Any]:
    """Return CBAM's options as the tensors saved for a row show them, whatever the tensors are called.

    The matrix of the channel MLP, (hidden, C) or as a 1x1 convolution, gives the reduction; the spatial convolution,
    (1, planes, k, k), the kernel; the absence of either the order; biases and a norm the variant.

    Args:
        state: A state dict with keys `model.{row}.…`.
        row: The row's number.
        channels: C, the channels of its features.

    Returns:
        The options; none if nothing is saved for the row.

    Example:
        >>> from attendet.attention import CBAM
        >>> saved = {f"model.9.{key}": value for key, value in CBAM(64, 8, 3).state_dict().items()}
        >>> cbam_options(saved, 9, 64)
        {'reduction': 8, 'kernel_size': 3, 'variant': 'plain'}
    """
    prefix = f"model.{row}."
    tensors = {key: value for key, value in state.items() if key.startswith(prefix)}
    options: dict[str, Any] = {}
    for tensor in tensors.values():
        match tuple(tensor.shape):
            case (1, planes, height, width) if planes < channels and height == width:
                options["kernel_size"] = height
            case (hidden, width) | (hidden, width, 1, 1) if width == channels:
                quotient, remainder = divmod(channels, hidden)
                options["reduction"] = channels / hidden if remainder else quotient
    if not options:
        return {}
    if len(options) == 1:
        options["order"] = "channel-only" if "reduction" in options else "spatial-only"
    normed = any(key.endswith("running_mean") for key in tensors)
    biased = any(key.endswith("bias") and tensor.numel() > 1 for key, tensor in tensors.items())
    options["variant"] = "authors" if biased else "timm" if normed else "plain"
    return options
