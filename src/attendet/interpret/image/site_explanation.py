"""What one attention module does with one image: small maps and numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attendet.interpret.capture import AttentionPass, GateOutput, OutputRole
from attendet.interpret.maps import (
    Join,
    entropy,
    find_join,
    saturated_fraction,
)
from attendet.interpret.site_maps import MapKind, compute_site_maps

Array = NDArray[np.float32]

JOIN_TEXTS: dict[Join, str] = {
    "product": "features × weights",
    "shuffled product": "features × weights, then channels shuffled",
    "sum": "sum of features × each weights",
    "maximum": "maximum of features × each weights",
    "addition": "features + a term, without weights",
    "mixture": "features and weights combined in another way",
    "none": "no weights",
}
"""What an attention module does with features, for readers."""


@dataclass(frozen=True)
class PartSummary:
    """Numbers of the output of one part of an attention module for an image.

    Attributes:
        name: Path of the part in the module.
        role: What the output does, as in `GateOutput`.
        outermost: Whether the output is applied to features itself.
        shape: Shape of the output, without the image axis.
        range: Smallest and largest weight of a gate; None for other roles.
        mean: Mean weight.
        lowest: Smallest weight.
        highest: Largest weight.
        spread: Standard deviation of the weights.
        entropy: Entropy over channels, 0-1, as `attendet.interpret.maps.entropy`; None if there is more than one
            position, or an added term.
        saturated: Fraction of the weights within 5 % of an end of the range, 0-1; None without a range.
    """

    name: str
    role: OutputRole
    outermost: bool
    shape: tuple[int, ...]
    range: tuple[float, float] | None
    mean: float
    lowest: float
    highest: float
    spread: float
    entropy: float | None
    saturated: float | None


@dataclass(frozen=True)
class SiteExplanation:
    """What one attention module does with an image.

    Attributes:
        path: Path of the module in the network, with `#2` and so on if it runs again in the same forward pass.
        module: Name of its class.
        shape: (C, H, W) of its features.
        join: How the output features follow from the input features, see `attendet.interpret.maps.find_join`.
        spatial: (H, W) weights over positions. For a softmax over positions, times H·W, so that the mean is 1. None if
            nothing varies over positions.
        spatial_kind: What `spatial` holds: `weight` or `softmax`.
        channels: (C,) weights over channels. For a softmax over branches, that of the last branch, which has the
            largest receptive field; for an added term, the term. None if nothing varies over channels.
        channel_kind: What `channels` holds: `weight`, `softmax`, or `term`.
        before: (H, W) absolute values of the input features, averaged over channels.
        after: (H, W) absolute values of the output features, averaged over channels.
        parts: Numbers of the module's parts.
    """

    path: str
    module: str
    shape: tuple[int, int, int]
    join: Join
    spatial: Array | None
    spatial_kind: MapKind
    channels: Array | None
    channel_kind: MapKind
    before: Array
    after: Array
    parts: tuple[PartSummary, ...]

    @property
    def entropy(self) -> float | None:
        """Entropy of `channels`, 0-1; None without channels, or for an added term."""
        return None if self.channels is None or self.channel_kind == "term" else _entropy(self.channels)

    @property
    def spread(self) -> float | None:
        """Standard deviation of `channels`; None without channels."""
        return None if self.channels is None else float(self.channels.std())

    @property
    def saturated(self) -> float | None:
        """Fraction of saturated weights of the gates over channels, 0-1; None without such gates."""
        fractions = [part.saturated for part in self.parts if part.outermost and part.shape[0] > 1]
        known = [fraction for fraction in fractions if fraction is not None]
        return sum(known) / len(known) if known else None

    def weight_range(self, axis: Literal["positions", "channels"]) -> tuple[float, float] | None:
        """Return the smallest and largest product of the gates that vary over positions or over channels.

        The result is None if there are no such gates, or if other weights take part that have no range.
        """
        varying = [
            part
            for part in self.parts
            if part.outermost and (max(part.shape[1:], default=1) if axis == "positions" else part.shape[0]) > 1
        ]
        ranges = [part.range for part in varying if part.range is not None]
        if not ranges or len(ranges) < len(varying):
            return None
        return float(np.prod([low for low, _ in ranges])), float(np.prod([high for _, high in ranges]))

    def arrays(self) -> dict[str, Array]:
        """Return the maps by their names: `spatial`, `channels`, `before`, `after`; maps that are None are left out."""
        maps = {"spatial": self.spatial, "channels": self.channels, "before": self.before, "after": self.after}
        return {name: values for name, values in maps.items() if values is not None}

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as plain values, ready for JSON; the maps are not included."""
        return {
            "path": self.path,
            "module": self.module,
            "shape": self.shape,
            "join": self.join,
            "entropy": self.entropy,
            "spread": self.spread,
            "saturated": self.saturated,
            "features_before": float(self.before.mean()),
            "features_after": float(self.after.mean()),
            "parts": [asdict(part) for part in self.parts],
        }

    def __repr__(self) -> str:
        """Show the module instead of its maps."""
        channels, height, width = self.shape
        return f"SiteExplanation({self.path!r}, {self.module}, {channels}x{height}x{width}, join={self.join!r})"


def explain_site(call: AttentionPass) -> SiteExplanation:
    """Return maps and numbers of a call of an attention module, for the first image of the batch.

    Example:
        >>> import torch
        >>> from attendet.attention import create
        >>> from attendet.interpret.capture import capture_attention
        >>> model, sites = create("cbam", 64, start="identity"), []
        >>> with capture_attention(model, lambda call: sites.append(explain_site(call))):
        ...     _ = model(torch.rand(1, 64, 5, 7))
        >>> sites[0], sites[0].spatial.shape, sites[0].channels.shape, sites[0].saturated
        (SiteExplanation('', CBAM, 64x5x7, join='product'), (5, 7), (64,), 0.0)
    """
    maps = compute_site_maps(call)
    _, *shape = call.before.shape
    return SiteExplanation(
        path=f"{call.path}#{call.call + 1}" if call.call else call.path,
        module=type(call.module).__name__,
        shape=(shape[0], shape[1], shape[2]),
        join=find_join(call),
        spatial=None if maps.spatial is None else _array(maps.spatial[0]),
        spatial_kind=maps.spatial_kind,
        channels=None if maps.channels is None else _array(maps.channels[0]),
        channel_kind=maps.channel_kind,
        before=_array(maps.before[0]),
        after=_array(maps.after[0]),
        parts=tuple(summarize_part(part) for part in call.parts),
    )


def summarize_part(part: GateOutput) -> PartSummary:
    """Return the numbers of the output of one part, for the first image of the batch."""
    first = part.value[:1].float()
    is_strip = first.ndim == 4 and first.shape[1] > 1 and first.shape[2:].numel() == 1 and part.role != "term"
    saturated = saturated_fraction(GateOutput(part.name, part.role, first, part.outermost, part.range))
    return PartSummary(
        name=part.name,
        role=part.role,
        outermost=part.outermost,
        shape=tuple(first.shape[1:]),
        range=part.range,
        mean=float(first.mean()),
        lowest=float(first.amin()),
        highest=float(first.amax()),
        spread=float(first.std(correction=0)),
        entropy=_entropy(_array(first.flatten())) if is_strip else None,
        saturated=None if saturated is None else float(saturated[0]),
    )


def _entropy(strip: Array) -> float | None:
    value = float(entropy(torch.from_numpy(strip)[None])[0])
    return None if np.isnan(value) else min(value, 1.0)


def _array(tensor: Tensor) -> Array:
    # Copied, because the network may overwrite its tensors later in the same forward pass.
    return np.array(tensor.detach().float().cpu().numpy(), np.float32)
