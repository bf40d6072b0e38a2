"""What a checkpoint says about a CBAM row: the shapes of its tensors decide, whatever the row's arguments say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor


def cbam_options(state: Mapping[str, Tensor], row: int, channels: int) -> dict[str, Any]:
    """Return CBAM's options as the tensors saved for a row show them, whatever the tensors are called.

    The matrices of the channel MLP, (hidden, C) and (C, hidden) or as 1x1 convolutions, give the reduction; the spatial
    convolution, (1, planes, k, k), the kernel; the absence of either the order; biases and a norm of the one spatial
    plane the variant. Tensors that are not those of a CBAM, such as those of another block, say nothing.

    Args:
        state: A state dict with keys `model.{row}.…`.
        row: The row's number.
        channels: C, the channels of its features.

    Returns:
        The options; none if what is saved for the row is no CBAM.

    Example:
        >>> from attendet.attention import CBAM
        >>> saved = {f"model.9.{key}": value for key, value in CBAM(64, 8, 3).state_dict().items()}
        >>> cbam_options(saved, 9, 64)
        {'reduction': 8, 'kernel_size': 3, 'variant': 'plain'}
    """
    prefix = f"model.{row}."
    tensors = {key: value for key, value in state.items() if key.startswith(prefix)}
    kernels: set[int] = set()
    matrices: list[tuple[int, int]] = []
    for tensor in tensors.values():
        match tuple(tensor.shape):
            case () | (_,):
                continue
            case (1, planes, height, width) if planes < channels and height == width:
                kernels.add(height)
            case (height, width) | (height, width, 1, 1):
                matrices.append((height, width))
            case _:
                return {}
    hidden = next((height for height, width in matrices if width == channels), 0)
    # A row that is repeated has each matrix as often.
    pairs = [(hidden, channels), (channels, hidden)] * (len(matrices) // 2)
    normed = [value.numel() for key, value in tensors.items() if key.endswith("running_mean")]
    # Attention of ours tells by its gates what it is.
    gates = {key.split(".")[-2] for key in tensors if key.endswith(".range")}
    if sorted(matrices) != sorted(pairs) or len(kernels) > 1 or set(normed) - {1} or gates - {"channel", "spatial"}:
        return {}
    options: dict[str, Any] = {}
    if hidden:
        quotient, remainder = divmod(channels, hidden)
        options["reduction"] = channels / hidden if remainder else quotient
    if kernels:
        options["kernel_size"] = kernels.pop()
    if not options:
        return {}
    if len(options) == 1:
        options["order"] = "channel-only" if hidden else "spatial-only"
    biased = any(key.endswith("bias") and tensor.numel() > 1 for key, tensor in tensors.items())
    options["variant"] = "authors" if biased else "timm" if normed else "plain"
    return options
