"""Control modules for comparisons with attention.

Inserting a module into a network adds a position in the network, parameters, computation, and noise, in addition to
attention. Each control has some of these effects but no attention. If a control performs as well as an attention
module, attention was not the reason for the improvement.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from attendet.attention.base import Attention, AttentionWeights, Start, check_channels, check_start, zero_
from attendet.attention.catalog import attentions, create, options_of
from attendet.attention.dims import CONVOLUTIONS, Dims, check_dims, check_features
from attendet.errors import OptionError
from attendet.utils.option_values import as_integer
from attendet.utils.text import short_repr

NO_PAPER = "no paper: a control for comparisons"


@attentions.register("control-identity")
class ControlIdentity(Attention):
    """Control that returns its input.

    It shows the effect of inserting a row or attaching a module: shifted row numbers, other random numbers, and other
    pretrained weights that load. Parameters: 0.

    Args:
        channels: Number of channels C of the features; it has no effect.
        dims: Number of position axes: 1 for sequences (N, C, L), 2 for images (N, C, H, W), 3 for volumes
            (N, C, D, H, W).

    Raises:
        OptionError: If `channels` or `dims` is invalid.

    Example:
        >>> x = torch.rand(2, 64, 20, 20)
        >>> torch.equal(ControlIdentity(64)(x), x)
        True
    """

    paper = NO_PAPER

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
    """Control with as many parameters as an attention module but no gate: x + W2 * (W1 * x), two 1x1 convolutions.

    It shows the effect of additional parameters at this position. There are no biases and no activation, so the two
    convolutions are equivalent to a single 1x1 convolution of rank k.

    Parameters: 2·C·k with k = P/(2·C), rounded to the nearest integer but at least 1, where P is the number to match.
    The count differs from P by at most C, except that it is never below 2·C. Compared with an attention of few
    parameters, such as ECA, the control therefore has more, which makes the comparison harder for the attention.

    Args:
        channels: Number of channels C of the features.
        like: Name of the attention module whose number of parameters is matched.
        parameters: The number P itself, instead of `like`.
        start: `paper` for random initial values of both convolutions. `identity` for a last convolution of zeros, so
            that the output equals the input at the first step.
        dims: Number of position axes of the convolutions and of `like`: 1 for sequences (N, C, L), 2 for images
            (N, C, H, W), 3 for volumes (N, C, D, H, W).
        options: Options of the attention `like`.

    Raises:
        UnknownNameError: If no attention has the name `like`.
        OptionError: If an option has an invalid value, or the attention does not support this number of channels.

    Example:
        >>> control = ControlConv1x1(64, like="se", reduction=8)
        >>> sum(parameter.numel() for parameter in control.parameters())
        1024
    """

    paper = NO_PAPER

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
        channels = check_channels(channels)
        self.dims: Dims = check_dims(dims)
        if parameters is None:
            with torch.device("meta"):
                attention = _create_attention(like, channels, dims, **options)
            parameters = sum(parameter.numel() for parameter in attention.parameters())
        elif options:
            raise OptionError(
                f"`parameters` cannot be combined with options of `like`, got {', '.join(options)}",
                remedy="give one or the other",
            )
        count = as_integer(parameters)
        if count is None or count < 0:
            raise OptionError(f"`parameters` must be an integer of at least 0, got {short_repr(parameters)}")
        width = max(1, (count + channels) // (2 * channels))
        self.reduce = CONVOLUTIONS[dims](channels, width, 1, bias=False)
        self.expand = CONVOLUTIONS[dims](width, channels, 1, bias=False)
        if start == "identity":
            zero_(self.expand.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features plus the output of the two convolutions."""
        check_features(x, self.dims)
        return x + self.expand(self.reduce(x)).to(x.dtype)


class ExchangedWeights(AttentionWeights):
    """Weights of other images: the output of `weights`, exchanged between the images of a batch.

    During training every image receives the weights of another image of the batch. During evaluation all images receive
    the running mean of the weights of each channel over images and positions, updated as in a batch norm.
    """

    mean: Tensor

    def __init__(self, weights: AttentionWeights, channels: int, momentum: float = 0.1) -> None:
        super().__init__()
        self.weights = weights
        self.momentum = momentum
        # Before the first training step the features are left unchanged.
        self.register_buffer("mean", torch.full((channels,), weights.neutral))

    def forward(self, x: Tensor, *others: Any) -> Tensor:
        """Return weights that broadcast over x, in its dtype."""
        if not self.training:
            return self.mean.to(x.dtype).reshape(-1, *[1] * (x.ndim - 2))
        weights = self.weights(x, *others)
        if x.shape[0] == 0:
            return weights
        with torch.no_grad():
            batch_mean = weights.mean((0, *range(2, x.ndim))).to(self.mean.dtype)
            self.mean.lerp_(batch_mean.expand_as(self.mean), self.momentum)
        # Shifted by 1 to N - 1 places, no image keeps its own weights, unless the batch has a single image.
        count = x.shape[0]
        shift = torch.randint(1, max(count, 2), (1,), device=x.device)
        return weights[(torch.arange(count, device=x.device) + shift) % count]


@attentions.register("control-noise-gate")
class ControlNoiseGate(Attention):
    """Control with the layers and weights of an attention module, whose weights are applied to other images.

    It shows the effect of the weights apart from attention, by their range and as noise. During training the weights
    that the attention computes for an image are applied to another image of the batch: all weights are shifted by the
    same random number of places, so that no image keeps its own, unless the batch has a single image. During evaluation
    the weights are the running mean of each channel over images and positions, updated as in a batch norm, so that the
    output of an image only depends on that image. Before training that mean leaves the features unchanged: it is 1, or
    1/2 for the two added gates of scSE.

    All outermost `AttentionWeights` of the attention are exchanged independently. The number of parameters equals that
    of the attention.

    Args:
        channels: Number of channels C of the features.
        like: Name of an attention that multiplies features by weights. This excludes `gc`, which adds a term, and `sk`,
            which mixes branches.
        start: Start of the attention. With `identity` the weights leave the features unchanged at the first
            step.
        dims: Number of position axes of the attention: 1 for sequences (N, C, L), 2 for images (N, C, H, W), 3 for
            volumes (N, C, D, H, W).
        options: Other options of the attention.

    Raises:
        UnknownNameError: If no attention has the name `like`.
        OptionError: If the attention does not multiply features by weights, or an option has an invalid value.

    Example:
        >>> control = ControlNoiseGate(64, like="se")
        >>> x = torch.rand(2, 64, 20, 20)
        >>> swapped = x * control.attention.gate.weights(x).flip(0)
        >>> torch.equal(control(x), swapped)
        True
    """

    paper = NO_PAPER

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
        self.attention = _create_attention(like, channels, check_dims(dims), start=start, **options)
        if not _exchange_weights(self.attention, channels):
            raise OptionError(
                f"`like` must be an attention that multiplies features by weights, got {short_repr(like)}",
                remedy="use for example cbam",
            )

    def forward(self, x: Tensor) -> Tensor:
        """Return the features multiplied by the weights of other images."""
        return self.attention(x)


def _create_attention(like: str, channels: int, dims: Dims, **options: Any) -> Attention:
    if attentions.get(like).paper == NO_PAPER:
        raise OptionError(f"`like` must not be a control, got {short_repr(like)}", remedy="use for example cbam")
    if "start" not in options_of(attentions.get(like)) and options.pop("start", "paper") != "paper":
        raise OptionError(f"{like} has no option 'start'", remedy="omit `start`")
    if dims != 2:
        # Most attention modules only support images and have no such option.
        options["dims"] = dims
    return create(like, channels, **options)


def _exchange_weights(module: nn.Module, channels: int) -> bool:
    """Wrap the outermost weights of a module in `ExchangedWeights`, and return whether there are any."""
    found = False
    for name, child in list(module.named_children()):
        if isinstance(child, AttentionWeights):
            setattr(module, name, ExchangedWeights(child, channels))
            found = True
        else:
            found = _exchange_weights(child, channels) or found
    return found
