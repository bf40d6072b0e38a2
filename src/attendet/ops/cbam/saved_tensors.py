"""What the fused CBAM hands from its forward to its backward pass, and what it gives the parameters."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from attendet.ops.cbam.reference import BatchStatistics, ChannelNet, SpatialNet


@dataclass(frozen=True)
class Kept:
    """The small float32 tensors that the backward pass starts from; empty where there is no such gate.

    Attributes:
        pooled: (N, 2, C), means and maxima of channels.
        channel_logits: (N, C).
        planes: (N, 2, H, W), as the convolution has seen them.
        spatial_logits: (N, 1, H, W), before the norm.
        mean: (1,), of the batch; empty where the norm takes none of it.
        var: (1,), likewise.
    """

    pooled: Tensor
    channel_logits: Tensor
    planes: Tensor
    spatial_logits: Tensor
    mean: Tensor
    var: Tensor

    @staticmethod
    def for_features(x: Tensor, channel: ChannelNet | None, spatial: SpatialNet | None) -> Kept:
        """Return memory for what will be kept of features (N, C, H, W)."""
        samples, channels, height, width = x.shape
        counted = spatial is not None and spatial.batch_statistics

        def memory(*shape: int, there: bool) -> Tensor:
            return x.new_empty(shape if there else (0,), dtype=torch.float32)

        return Kept(
            memory(samples, 2, channels, there=channel is not None),
            memory(samples, channels, there=channel is not None),
            memory(samples, 2, height, width, there=spatial is not None),
            memory(samples, 1, height, width, there=spatial is not None),
            memory(1, there=counted),
            memory(1, there=counted),
        )

    def statistics(self) -> BatchStatistics | None:
        """Return the statistics of the batch, if the norm has taken them."""
        return BatchStatistics(self.mean, self.var, self.spatial_logits.numel()) if self.mean.numel() else None


@dataclass(frozen=True)
class ParameterGradients:
    """Gradients in the order of the operator's parameters; None where there is no such parameter."""

    fc1_weight: Tensor | None = None
    fc1_bias: Tensor | None = None
    fc2_weight: Tensor | None = None
    fc2_bias: Tensor | None = None
    conv_weight: Tensor | None = None
    norm_weight: Tensor | None = None
    norm_bias: Tensor | None = None

    @staticmethod
    def for_nets(channel: ChannelNet | None, spatial: SpatialNet | None) -> ParameterGradients:
        """Return memory for the gradients of the nets' parameters."""
        parameters = {**(vars(channel) if channel else {}), **(vars(spatial) if spatial else {})}
        names = ParameterGradients.__dataclass_fields__
        given = {name: parameters[name] for name in names if parameters.get(name) is not None}
        return ParameterGradients(**{name: torch.empty_like(tensor) for name, tensor in given.items()})
