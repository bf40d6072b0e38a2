"""Controls: what else would do, to compare attention with. Not attention, but the same from outside.

A module that is put into a network brings a place in it, parameters, computation and noise besides what it attends to.
Each control has some of these and no attention: where it does as well, attention was not why.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from attendet.attention.base import Attention, Start, Weights, check_channels, check_start, zero_
from attendet.attention.catalog import attentions, create, options_of
from attendet.attention.dims import CONVOLUTIONS, Dims, check_dims, check_features
from attendet.errors import OptionError

NONE = "no paper: a control for comparisons"


@attentions.register("control-identity")
class ControlIdentity(Attention):
    """Nothing: the features as they came.

    For what comes with a row or an attachment as such: shifted row numbers, other random numbers, other weights
    loaded. Parameters: 0.

    Args:
        channels: C, the channels of the features; nothing depends on it.
        dims: Axes of positions: 1 for sequences (N, C, L), 2 for images, 3 for volumes (N, C, D, H, W).

    Raises:
        OptionError: If there are no such channels or dims.

    Example:
        >>> x = torch.rand(2, 64, 20, 20)
        >>> torch.equal(ControlIdentity(64)(x), x)
        True
    """

    paper = NONE

    def __init__(self, channels: int, *, dims: Dims = 2) -> None:
        super().__init__()
        check_channels(channels)
        self.dims: Dims = check_dims(dims)

    def forward(self, x: Tensor) -> Tensor:
        """Return x."""
        check_features(x, self.dims)
        return x


@attentions.register("control-conv1x1")
class ControlConv1x1(Attention):
    """As many parameters as an attention has, and no gating: x + W2 * (W1 * x), two 1x1 convolutions C → k → C.

    For what parameters in this place bring as such. There is no bias and nothing between the two, so that together
    they are one 1x1 convolution of rank k.

    Parameters: 2·C·k, with k = P/(2·C) rounded to the nearest, and at least 1, where P is what has to be matched. The
    count is thus off by C at most, but never below 2·C: beside an attention of a handful of parameters, ECA say, the
    control has more, which makes the comparison harder for the attention, not easier.

    Args:
        channels: C, the channels of the features.
        like: Name of the attention whose parameters are matched.
        parameters: P itself, in place of `like`.
        start: `paper` starts both convolutions at random. `identity` starts the last one at zero, so that at the first
            step the output is the input.
        dims: Axes of positions, of the convolutions and of `like`: 1 for sequences (N, C, L), 2 for images, 3 for
            volumes (N, C, D, H, W).
        options: Of that attention; what is not given has its default.

    Raises:
        UnknownNameError: If there is no such attention.
        OptionError: If an option has no such value, or the attention cannot be made for so many channels.

    Example:
        >>> control = ControlConv1x1(64, like="se", reduction=8)
        >>> sum(parameter.numel() for parameter in control.parameters())
        1024
    """

    paper = NONE

    def __init__(
        self,
        channels: int,
        like: str = "cbam",
        parameters: int | None = None,
        start: Start = "paper",
        *,
        dims: Dims = 2,
        **options: Any,
    ) -> None:
        super().__init__()
        check_start(start)
        check_channels(channels)
        self.dims: Dims = check_dims(dims)
        if parameters is None:
            with torch.device("meta"):
                attention = _attention(like, channels, dims, **options)
            parameters = sum(parameter.numel() for parameter in attention.parameters())
        elif options:
            raise OptionError(f"options {', '.join(options)} beside parameters", remedy="give one or the other")
        elif not isinstance(parameters, int) or parameters < 0:
            raise OptionError(f"{parameters!r} parameters cannot be matched", remedy="give their number, 0 or more")
        width = max(1, (parameters + channels) // (2 * channels))
        self.reduce = CONVOLUTIONS[dims](channels, width, 1, bias=False)
        self.expand = CONVOLUTIONS[dims](width, channels, 1, bias=False)
        if start == "identity":
            zero_(self.expand.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features plus what the convolutions make of them."""
        check_features(x, self.dims)
        return x + self.expand(self.reduce(x)).to(x.dtype)


class ForeignWeights(Weights):
    """Weights of another image: what `weights` gives, exchanged within the batch.

    In training every image gets the weights of another one; in evaluation, all get the running mean of each channel's
    weights, the mean over images and positions, as a batch norm keeps it.
    """

    mean: Tensor

    def __init__(self, weights: Weights, channels: int, momentum: float = 0.1) -> None:
        super().__init__()
        self.weights = weights
        self.momentum = momentum
        # Before the first step nothing is known, and the features stay as they are.
        self.register_buffer("mean", torch.ones(channels))

    def forward(self, x: Tensor, *others: Any) -> Tensor:
        """Return weights that broadcast over x, in its dtype."""
        if not self.training:
            return self.mean.to(x.dtype).reshape(-1, *[1] * (x.ndim - 2))
        weights = self.weights(x, *others)
        with torch.no_grad():
            now = weights.mean((0, *range(2, x.ndim))).to(self.mean.dtype)
            self.mean.lerp_(now.expand_as(self.mean), self.momentum)
        # Shifted by a number from 1 to N - 1, no image keeps its own, unless it is alone.
        count = x.shape[0]
        shift = torch.randint(1, max(count, 2), (1,), device=x.device)
        return weights[(torch.arange(count, device=x.device) + shift) % count]


@attentions.register("control-noise-gate")
class ControlNoiseGate(Attention):
    """An attention whose weights belong to other images: the same layers, the same weights, nothing attended to.

    For what weights bring as such, by their range and as noise. In training, the weights that an attention computes
    for one image of the batch are applied to another: all are shifted by one random number of places, so that none
    keeps its own unless it is alone. In evaluation there is no other image, and weights are the running mean of each
    channel over images and positions, kept as a batch norm keeps its own: the output of an image depends on it
    alone. Before any training that mean is 1.

    Every outermost `Weights` of the attention is exchanged, by the same rule and independently. Parameters: those of
    the attention.

    Args:
        channels: C, the channels of the features.
        like: Name of an attention that multiplies features by weights: not `gc`, which adds, nor `sk`, which mixes.
        start: Its start. With `identity` all weights are 1 at the first step, whoever's they are.
        dims: Its axes of positions: 1 for sequences (N, C, L), 2 for images, 3 for volumes (N, C, D, H, W).
        options: Its other options.

    Raises:
        UnknownNameError: If there is no such attention.
        OptionError: If it does not multiply features by weights, or an option has no such value.

    Example:
        >>> control = ControlNoiseGate(64, like="se")
        >>> x = torch.rand(2, 64, 20, 20)
        >>> swapped = x * control.attention.gate.weights(x).flip(0)
        >>> torch.equal(control(x), swapped)
        True
    """

    paper = NONE

    def __init__(
        self,
        channels: int,
        like: str = "cbam",
        start: Start = "paper",
        *,
        dims: Dims = 2,
        **options: Any,
    ) -> None:
        super().__init__()
        check_start(start)
        self.attention = _attention(like, channels, check_dims(dims), start=start, **options)
        if not _exchange_weights(self.attention, channels):
            raise OptionError(f"{like} has no weights to exchange", remedy="name one that multiplies features, as cbam")

    def forward(self, x: Tensor) -> Tensor:
        """Return the features times the weights of others."""
        return self.attention(x)


def _attention(like: str, channels: int, dims: Dims, **options: Any) -> Attention:
    if attentions.get(like).paper == NONE:
        raise OptionError(f"{like} is a control itself", remedy="name an attention, as cbam")
    if "start" not in options_of(attentions.get(like)) and options.pop("start", "paper") != "paper":
        raise OptionError(f"{like} has no other start than its paper's", remedy="leave start out")
    if dims != 2:
        # Most attention is for images alone, and has no such option.
        options["dims"] = dims
    return create(like, channels, **options)


def _exchange_weights(module: nn.Module, channels: int) -> bool:
    """Wrap the outermost weights within a module; say whether there were any."""
    found = False
    for name, child in list(module.named_children()):
        if isinstance(child, Weights):
            setattr(module, name, ForeignWeights(child, channels))
            found = True
        else:
            found = _exchange_weights(child, channels) or found
    return found
