"""The maps of one call of an attention module, as tensors for all images of a batch."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from torch import Tensor

from attendet.interpret.capture import AttentionPass, OutputRole
from attendet.interpret.maps import channel_weights, magnitude, spatial_weights

MapKind: TypeAlias = Literal["weight", "softmax", "term"]


class SiteMaps(NamedTuple):
    """The maps of one call of an attention module.

    Attributes:
        spatial: (N, H, W) weights over positions. For a softmax over positions, times H·W, so that the mean is 1. None
            if nothing varies over positions.
        spatial_kind: What `spatial` holds: `weight` or `softmax`.
        channels: (N, C) weights over channels. For a softmax over branches, that of the last branch, which has the
            largest receptive field; for an added term, the term. None if nothing varies over channels.
        channel_kind: What `channels` holds: `weight`, `softmax`, or `term`.
        before: (N, H, W) absolute values of the input features, averaged over channels.
        after: (N, H, W) absolute values of the output features, averaged over channels.
    """

    spatial: Tensor | None
    spatial_kind: MapKind
    channels: Tensor | None
    channel_kind: MapKind
    before: Tensor
    after: Tensor

    def tensors(self) -> dict[str, Tensor]:
        """Return the maps by their names; maps that are None are left out."""
        maps = {"spatial": self.spatial, "channels": self.channels, "before": self.before, "after": self.after}
        return {name: values for name, values in maps.items() if values is not None}


def compute_site_maps(call: AttentionPass) -> SiteMaps:
    """Return the maps of a call of an attention module.

    Example:
        >>> import torch
        >>> from attendet.attention import create
        >>> from attendet.interpret.capture import capture_attention
        >>> model, maps = create("cbam", 64), []
        >>> with capture_attention(model, lambda call: maps.append(compute_site_maps(call))):
        ...     _ = model(torch.rand(2, 64, 5, 7))
        >>> {name: tuple(values.shape) for name, values in maps[0].tensors().items()}
        {'spatial': (2, 5, 7), 'channels': (2, 64), 'before': (2, 5, 7), 'after': (2, 5, 7)}
    """
    return SiteMaps(*_spatial_map(call), *_channel_strip(call), magnitude(call.before), magnitude(call.after))


def _spatial_map(call: AttentionPass) -> tuple[Tensor | None, MapKind]:
    """Return the map over positions (N, H, W), and its kind; the map is None if nothing varies over positions."""
    weights = spatial_weights(call)
    if weights is not None:
        return weights, "weight"
    softmax = _first_output(call, "softmax", ndim=4)
    return (None if softmax is None else softmax[:, 0].float() * softmax[0, 0].numel()), "softmax"


def _channel_strip(call: AttentionPass) -> tuple[Tensor | None, MapKind]:
    """Return the strip over channels (N, C), and its kind; the strip is None if nothing varies over channels."""
    weights = channel_weights(call)
    if weights is not None:
        return weights, "weight"
    softmax = _first_output(call, "softmax", ndim=5)
    if softmax is not None:
        return softmax[:, -1].float().flatten(2).mean(2), "softmax"
    term = next((part.value for part in call.applied_parts if part.role == "term"), None)
    return (None if term is None else term.float().flatten(2).mean(2).expand(call.before.shape[:2])), "term"


def _first_output(call: AttentionPass, role: OutputRole, ndim: int) -> Tensor | None:
    return next((part.value for part in call.parts if part.role == role and part.value.ndim == ndim), None)
