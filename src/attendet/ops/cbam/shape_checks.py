"""Shape checks before a call of C++ or Triton code, which accesses memory by these shapes without further checks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor

from attendet.errors import OptionError
from attendet.ops.cbam.reference import ChannelNet, SpatialNet


def check_shapes(x: Tensor, channel: ChannelNet | None, spatial: SpatialNet | None) -> None:
    """Check that the parameters of the gates fit features (N, C, H, W).

    Raises:
        OptionError: If a shape does not fit.

    Example:
        >>> import torch
        >>> net = SpatialNet(torch.zeros(1, 2, 4, 4), None, None, None, None, torch.zeros(2))
        >>> check_shapes(torch.zeros(1, 8, 5, 5), None, net)
        Traceback (most recent call last):
            ...
        attendet.errors.OptionError: the kernel size of the fused CBAM must be odd, got 4
    """
    if x.ndim != 4:
        raise OptionError(f"features of the fused CBAM must have the shape (N, C, H, W), got {x.ndim} axes")
    if spatial is not None and spatial.conv_weight.shape[-1] % 2 == 0:
        raise OptionError(f"the kernel size of the fused CBAM must be odd, got {spatial.conv_weight.shape[-1]}")
    for name, tensor, shape in _expected_shapes(x.shape[1], channel, spatial):
        if tensor is None or tensor.shape != shape:
            actual = None if tensor is None else tuple(tensor.shape)
            raise OptionError(f"{name} of the fused CBAM must have the shape {tuple(shape)}, got {actual}")


def _expected_shapes(
    channels: int, channel: ChannelNet | None, spatial: SpatialNet | None
) -> Iterator[tuple[str, Tensor | None, Sequence[int]]]:
    if channel is not None:
        hidden = channel.fc1_weight.shape[0]
        yield "`fc1_weight`", channel.fc1_weight, (hidden, channels)
        yield "`fc2_weight`", channel.fc2_weight, (channels, hidden)
        yield "`range` of the channel gate", channel.range, (2,)
        for name, bias, length in (("fc1_bias", channel.fc1_bias, hidden), ("fc2_bias", channel.fc2_bias, channels)):
            if bias is not None:
                yield f"`{name}`", bias, (length,)
    if spatial is not None:
        size = spatial.conv_weight.shape[-1]
        yield "`conv_weight`", spatial.conv_weight, (1, 2, size, size)
        yield "`range` of the spatial gate", spatial.range, (2,)
        if spatial.norm_weight is not None:
            names = ["norm_weight", "norm_bias"]
            names += [] if spatial.batch_statistics else ["running_mean", "running_var"]
            for name in names:
                yield f"`{name}`", getattr(spatial, name), (1,)
