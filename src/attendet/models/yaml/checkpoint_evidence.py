"""The options of a CBAM row, inferred from the tensors of a checkpoint.

Forks disagree about the arguments of CBAM rows, so the shapes of trained tensors decide over the arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor


def infer_cbam_options(state: Mapping[str, Tensor], row: int, channels: int) -> dict[str, Any]:
    """Infer the options of a CBAM from the shapes of its tensors, regardless of their names.

    The reduction follows from the matrices of the channel MLP, (hidden, C) and (C, hidden) or the same as 1x1
    convolutions; the kernel size from the spatial convolution, (1, planes, k, k); the order from the absence of one of
    the two; the variant from biases and from a batch norm of the spatial plane.

    Args:
        state: A state dict with keys `model.{row}.…`.
        row: Index of the row.
        channels: C, the number of channels of the input.

    Returns:
        The options; empty if the tensors of the row do not form a CBAM.

    Example:
        >>> from attendet.attention import CBAM
        >>> state = {f"model.9.{key}": value for key, value in CBAM(64, 8, 3).state_dict().items()}
        >>> infer_cbam_options(state, 9, 64)
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
    # A repeated row has each matrix as often as it is repeated.
    pairs = [(hidden, channels), (channels, hidden)] * (len(matrices) // 2)
    normalized = [value.numel() for key, value in tensors.items() if key.endswith("running_mean")]
    # The gates of attendet's own attention modules have a `range`, and names that show which module it is.
    gates = {key.split(".")[-2] for key in tensors if key.endswith(".range")}
    if sorted(matrices) != sorted(pairs) or len(kernels) > 1 or set(normalized) - {1} or gates - {"channel", "spatial"}:
        return {}
    options: dict[str, Any] = {}
    if hidden:
        quotient, remainder = divmod(channels, hidden)
        options["reduction"] = channels / hidden if remainder else quotient
    if kernels:
        options["kernel_size"] = next(iter(kernels))
    if not options:
        return {}
    if len(options) == 1:
        options["order"] = "channel-only" if hidden else "spatial-only"
    biased = any(key.endswith("bias") and tensor.numel() > 1 for key, tensor in tensors.items())
    # Without a spatial part, the variants with biases in the MLP are the same.
    with_biases = "authors" if normalized or not kernels else "biased"
    options["variant"] = with_biases if biased else "timm" if normalized else "plain"
    return options
