"""One attention module's part in one image: small arrays and numbers, ready to be drawn and kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attendet.interpret.capture import AttentionPass, GateOutput, OutputRole
from attendet.interpret.maps import Join, channels, entropy, join, magnitude, saturated, spatial

Array = NDArray[np.float32]

JOINED = {
    "product": "features × weights",
    "shuffled product": "features × weights, then channels shuffled",
    "sum": "sum of features × each weights",
    "maximum": "maximum of features × each weights",
    "addition": "adds a term; gates nothing",
    "mixture": "joins features and weights in another way",
    "none": "gates nothing",
}
"""What happens to the features, in words."""


@dataclass(frozen=True)
class PartView:
    """What one part of an attention module gave for an image, in numbers.

    Attributes:
        name: Path of the part in the module.
        role: What it is.
        joins: Whether it joins the features itself.
        shape: Of what it gave, without the batch.
        range: The least and greatest weight it can give; None where there is no such.
        mean: Mean weight.
        lowest: Least weight.
        highest: Greatest weight.
        spread: Standard deviation of the weights.
        entropy: Of a strip of channels, in 0-1, as `attendet.interpret.maps.entropy`; else None.
        saturated: Share of weights within 5 % of an end of the range, in 0-1; None without a range.
    """

    name: str
    role: OutputRole
    joins: bool
    shape: tuple[int, ...]
    range: tuple[float, float] | None
    mean: float
    lowest: float
    highest: float
    spread: float
    entropy: float | None
    saturated: float | None


@dataclass(frozen=True)
class SiteView:
    """What an attention module did with an image.

    Attributes:
        path: Its path in the network, with `#2` and so on where it runs again in the same pass.
        kind: Name of its class.
        shape: (C, H, W) of its features.
        join: How the features after follow from those before.
        spatial: (H, W) the weights over positions; of modules that choose positions by shares, those times H·W, so
            that 1 is the mean. None where there is neither.
        spatial_is: What the spatial map holds, `weight` or `share`.
        channels: (C,) the weights over channels; of modules that mix branches by shares, that of the last branch, which
            reaches furthest; of modules that add, the added term. None where there is none of these.
        channels_are: What the strip holds: `weight`, `share` or `term`.
        before: (H, W) mean over channels of the features' absolute values, as they came.
        after: Likewise as they went.
        parts: Numbers of the module's parts.
    """

    path: str
    kind: str
    shape: tuple[int, int, int]
    join: Join
    spatial: Array | None
    spatial_is: str
    channels: Array | None
    channels_are: str
    before: Array
    after: Array
    parts: tuple[PartView, ...]

    @property
    def entropy(self) -> float | None:
        """Entropy of the strip of weights or shares, in 0-1; None where it has none."""
        return None if self.channels is None or self.channels_are == "term" else _entropy(self.channels)

    @property
    def spread(self) -> float | None:
        """Standard deviation of the strip; None where there is none."""
        return None if self.channels is None else float(self.channels.std())

    @property
    def saturated(self) -> float | None:
        """Share of saturated weights of the gates that vary over channels and join the features; None without any."""
        shares = [part.saturated for part in self.parts if part.joins and part.shape[0] > 1]
        known = [share for share in shares if share is not None]
        return sum(known) / len(known) if known else None


def make_site_view(visit: AttentionPass) -> SiteView:
    """Return what is kept of a visit: the first image of its batch.

    Example:
        >>> import torch
        >>> from attendet.attention import create
        >>> from attendet.interpret.capture import capture_attention
        >>> model, views = create("cbam", 64, start="identity"), []
        >>> with capture_attention(model, lambda visit: views.append(make_site_view(visit))):
        ...     _ = model(torch.rand(1, 64, 5, 7))
        >>> views[0].spatial.shape, views[0].channels.shape, views[0].join, views[0].saturated
        ((5, 7), (64,), 'product', 0.0)
    """
    over_positions, over_channels = spatial(visit), channels(visit)
    spatial_is = channels_are = "weight"
    if over_positions is None:
        over_positions, spatial_is = _shares_of_positions(visit), "share"
    if over_channels is None:
        over_channels, channels_are = _shares_of_branches(visit), "share"
    if over_channels is None:
        over_channels, channels_are = _added(visit), "term"
    _, *shape = visit.before.shape
    return SiteView(
        path=f"{visit.path}#{visit.call + 1}" if visit.call else visit.path,
        kind=type(visit.module).__name__,
        shape=(shape[0], shape[1], shape[2]),
        join=join(visit),
        spatial=None if over_positions is None else _array(over_positions[0]),
        spatial_is=spatial_is,
        channels=None if over_channels is None else _array(over_channels[0]),
        channels_are=channels_are,
        before=_array(magnitude(visit.before)[0]),
        after=_array(magnitude(visit.after)[0]),
        parts=tuple(_part_view(part) for part in visit.parts),
    )


def _part_view(part: GateOutput) -> PartView:
    first = part.value[:1].float()
    is_strip = first.ndim == 4 and first.shape[1] > 1 and first.shape[2:].numel() == 1 and part.role != "addend"
    share = saturated(GateOutput(part.name, part.role, first, part.outermost, part.range))
    return PartView(
        name=part.name,
        role=part.role,
        joins=part.outermost,
        shape=tuple(first.shape[1:]),
        range=part.range,
        mean=float(first.mean()),
        lowest=float(first.amin()),
        highest=float(first.amax()),
        spread=float(first.std(correction=0)),
        entropy=_entropy(_array(first.flatten())) if is_strip else None,
        saturated=None if share is None else float(share[0]),
    )


def _entropy(strip: Array) -> float | None:
    value = float(entropy(torch.from_numpy(strip)[None])[0])
    return None if np.isnan(value) else min(value, 1.0)


def _shares_of_positions(visit: AttentionPass) -> Tensor | None:
    shares = next((part.value for part in visit.parts if part.role == "shares" and part.value.ndim == 4), None)
    return None if shares is None else shares[:, 0].float() * shares[0, 0].numel()


def _shares_of_branches(visit: AttentionPass) -> Tensor | None:
    shares = next((part.value for part in visit.parts if part.role == "shares" and part.value.ndim == 5), None)
    return None if shares is None else shares[:, -1].float().flatten(2).mean(2)


def _added(visit: AttentionPass) -> Tensor | None:
    added = next((part.value for part in visit.joining if part.role == "addend"), None)
    return None if added is None else added.float().flatten(2).mean(2).expand(visit.before.shape[:2])


def _array(tensor: Tensor) -> Array:
    # Copied: what a pass computes with may be overwritten later in it.
    return np.array(tensor.detach().float().cpu().numpy(), np.float32)
