"""Whether features and nets fit each other: what runs beyond torch reads memory by these shapes and asks no more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor

from attendet.errors import OptionError
from attendet.ops.cbam.reference import ChannelNet, SpatialNet


def require_fit(x: Tensor, channel: ChannelNet | None, spatial: SpatialNet | None) -> None:
    """Check the shapes of features (N, C, H, W) and of the nets that gate them.

    Raises:
        OptionError: If one does not fit.

    Example:
        >>> import torch
        >>> net = SpatialNet(torch.zeros(1, 2, 4, 4), None, None, None, None, torch.zeros(2))
        >>> require_fit(torch.zeros(1, 8, 5, 5), None, net)
        Traceback (most recent call last):
            ...
        attendet.errors.OptionError: the fused CBAM cannot take a kernel of 4; give an odd one
    """
    if x.ndim != 4:
        raise OptionError(f"the fused CBAM cannot take features of {x.ndim} axes", remedy="give (N, C, H, W)")
    if spatial is not None and spatial.conv_weight.shape[-1] % 2 == 0:
        kernel = spatial.conv_weight.shape[-1]
        raise OptionError(f"the fused CBAM cannot take a kernel of {kernel}", remedy="give an odd one")
    for name, tensor, shape in _expected(x.shape[1], channel, spatial):
        if tensor is None or tensor.shape != shape:
            found = "nothing" if tensor is None else tuple(tensor.shape)
            raise OptionError(f"the fused CBAM cannot take {found} for {name}", remedy=f"give {tuple(shape)}")


def _expected(
    channels: int, channel: ChannelNet | None, spatial: SpatialNet | None
) -> Iterator[tuple[str, Tensor | None, Sequence[int]]]:
    if channel is not None:
        hidden = channel.fc1_weight.shape[0]
        yield "fc1_weight", channel.fc1_weight, (hidden, channels)
        yield "fc2_weight", channel.fc2_weight, (channels, hidden)
        yield "the range of channels", channel.range, (2,)
        for name, bias, length in (("fc1_bias", channel.fc1_bias, hidden), ("fc2_bias", channel.fc2_bias, channels)):
            if bias is not None:
                yield name, bias, (length,)
    if spatial is not None:
        size = spatial.conv_weight.shape[-1]
        yield "conv_weight", spatial.conv_weight, (1, 2, size, size)
        yield "the range of positions", spatial.range, (2,)
        if spatial.norm_weight is not None:
            names = ["norm_weight", "norm_bias"]
            names += [] if spatial.batch_statistics else ["running_mean", "running_var"]
            for name in names:
                yield name, getattr(spatial, name), (1,)
