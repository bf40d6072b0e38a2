"""Tensors that the fused CBAM saves for its backward pass, and the gradients that it returns."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from attendet.ops.cbam.reference import BatchStatistics, ChannelNet, SpatialNet


@dataclass(frozen=True)
class SavedTensors:
    """Small float32 tensors that the backward pass needs in addition to the features; empty for missing gates.

    Attributes:
        pooled: Means and maxima of the channels, (N, 2, C).
        channel_logits: Logits of the channel gate, (N, C).
        planes: Input of the spatial convolution, (N, 2, H, W).
        spatial_logits: Output of the spatial convolution before the norm, (N, 1, H, W).
        mean: Mean (1,) of the batch; empty if the norm does not use batch statistics.
        var: Biased variance (1,) of the batch; empty if the norm does not use batch statistics.
    """

    pooled: Tensor
    channel_logits: Tensor
    planes: Tensor
    spatial_logits: Tensor
    mean: Tensor
    var: Tensor

    @staticmethod
    def allocate(x: Tensor, channel: ChannelNet | None, spatial: SpatialNet | None) -> SavedTensors:
        """Return uninitialized tensors for features (N, C, H, W)."""
        samples, channels, height, width = x.shape
        uses_batch = spatial is not None and spatial.batch_statistics

        def memory(*shape: int, needed: bool) -> Tensor:
            return x.new_empty(shape if needed else (0,), dtype=torch.float32)

        return SavedTensors(
            memory(samples, 2, channels, needed=channel is not None),
            memory(samples, channels, needed=channel is not None),
            memory(samples, 2, height, width, needed=spatial is not None),
            memory(samples, 1, height, width, needed=spatial is not None),
            memory(1, needed=uses_batch),
            memory(1, needed=uses_batch),
        )

    def statistics(self) -> BatchStatistics | None:
        """Return the batch statistics, or None if the norm does not use them."""
        return BatchStatistics(self.mean, self.var, self.spatial_logits.numel()) if self.mean.numel() else None


@dataclass(frozen=True)
class ParameterGradients:
    """Gradients of the parameters, in the order of the operator's arguments; None for missing parameters."""

    fc1_weight: Tensor | None = None
    fc1_bias: Tensor | None = None
    fc2_weight: Tensor | None = None
    fc2_bias: Tensor | None = None
    conv_weight: Tensor | None = None
    norm_weight: Tensor | None = None
    norm_bias: Tensor | None = None

    @staticmethod
    def allocate(channel: ChannelNet | None, spatial: SpatialNet | None) -> ParameterGradients:
        """Return uninitialized gradients for the parameters of the gates."""
        parameters = {**(vars(channel) if channel else {}), **(vars(spatial) if spatial else {})}
        names = ParameterGradients.__dataclass_fields__
        existing = {name: parameters[name] for name in names if parameters.get(name) is not None}
        return ParameterGradients(**{name: torch.empty_like(tensor) for name, tensor in existing.items()})
