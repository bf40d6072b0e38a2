"""What the weights of attention sites do over many images: how large they are, and whether they depend on the image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from attendet.observe.capture import Part, Role, Visit
from attendet.observe.frames import Frame
from attendet.observe.looking import Looking, Lookings, looking
from attendet.observe.maps import NEAR_AN_END, spatial
from attendet.observe.moments import Moments

# Points along each side of an image at which maps are looked at: a map of stride 32 of 640 pixels has as many.
POINTS = 20


@dataclass(frozen=True)
class PartStatistics:
    """What one module of weights does over many images; every image counts equally.

    A value is the weight of one channel at one of 20 x 20 points of the image, padding left out, so that images of
    different shapes can be compared; a part that does not vary over positions has one value for each channel.

    Attributes:
        name: Path inside of the attention module: `channel`, `spatial`, `gate`.
        role: Whether features are multiplied by them (`gate`, `weights`), chosen by them (`shares`), or they are added
            (`addend`).
        range: Ends (low, high) of a gate.
        mean: Of all values.
        std: Standard deviation of all values.
        between: Standard deviation between images: how far a value is, in the root mean square, from the mean of the
            same value over the images.
        saturated: Share of the values that are within 5 % of an end of the range; None without a range.
        means: (K,) mean of each channel, which the part can be replaced by.
    """

    name: str
    role: Role
    range: tuple[float, float] | None
    mean: float
    std: float
    between: float
    saturated: float | None
    means: Tensor = field(repr=False, compare=False)

    @property
    def share_between(self) -> float:
        """Share of the variance that is between images, 0-1: 0 for weights that are the same for every image."""
        return (self.between / self.std) ** 2 if self.std > 0 else 0.0


@dataclass(frozen=True)
class SiteStatistics:
    """What one attention site does over many images.

    Attributes:
        path: Of the attention module in the network.
        attention: Its class.
        images: How many were seen.
        parts: Its weights, in the order in which they run; empty for a module that has none.
        looking: How the weights of positions lie on objects, a mean over the images with boxes whose weights are not
            negative; None where there is no such image, or no weight of positions.
    """

    path: str
    attention: str
    images: int
    parts: tuple[PartStatistics, ...]
    looking: Looking | None


class Statistics:
    """Collects what sites do, batch by batch, in memory that does not grow with the number of images.

    Example:
        >>> from attendet.attention import create
        >>> from attendet.observe.capture import observed
        >>> model = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 3), create("cbam", 16, reduction=4))
        >>> statistics, images = Statistics(), torch.rand(2, 3, 32, 32)
        >>> frames = [Frame.of(32, 32, torch.tensor([[0.0, 0.0, 16.0, 16.0]]))] * 2
        >>> with observed(model, lambda visit: statistics.take(visit, frames)):
        ...     _ = model(images)
        >>> [(site.path, [part.name for part in site.parts]) for site in statistics.sites()]
        [('1', ['channel', 'spatial'])]
    """

    def __init__(self) -> None:
        self._sites: dict[str, _Site] = {}

    def take(self, visit: Visit, frames: Sequence[Frame]) -> None:
        """Take what a site did with a batch.

        Args:
            visit: What it did.
            frames: Where each image of the batch lies, and its objects.
        """
        site = self._sites.setdefault(visit.path, _Site(type(visit.module).__name__))
        site.images += len(frames)
        for part in visit.joining:
            site.parts.setdefault(part.name, _Part(part)).take(points(part.value, visit.before, frames))
        weights = spatial(visit)
        if weights is not None:
            for each, frame in zip(weights, frames, strict=True):
                height, width = each.shape
                shown = frame.crop(height, width)
                site.lookings.add(looking(each[shown], frame.coverage(height, width)[shown]))

    def sites(self) -> tuple[SiteStatistics, ...]:
        """Return what each site did so far, in the order in which they ran."""
        return tuple(
            SiteStatistics(
                path,
                site.attention,
                site.images,
                tuple(part.statistics() for part in site.parts.values()),
                site.lookings.mean(),
            )
            for path, site in self._sites.items()
        )


def points(weights: Tensor, features: Tensor, frames: Sequence[Frame]) -> Tensor:
    """Return (N, K, 20, 20) the weights at as many points of each image; (N, K, 1, 1) where positions do not matter.

    Args:
        weights: What broadcasts over the features: (N, C, H, W), (N, 1, H, W), (N, C, H, 1); or (N, M, C, 1, 1)
            of M branches, which become K = M·C channels. Where all images share them, N may be 1.
        features: (N, C, H, W).
        frames: Where each image lies.
    """
    count, (height, width) = len(features), features.shape[2:]
    weights = weights.expand(count, *weights.shape[1:]).flatten(1, -3)
    if weights.shape[2:] == (1, 1):
        return weights
    maps = weights.expand(-1, -1, height, width)
    crops = [frame.crop(height, width) for frame in frames]
    rows = torch.stack([_spread(rows) for rows, _ in crops]).to(maps.device)
    columns = torch.stack([_spread(columns) for _, columns in crops]).to(maps.device)
    images = torch.arange(count, device=maps.device)[:, None, None]
    # Indices around a slice put the sliced axis last.
    return maps[images, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _spread(cells: slice) -> Tensor:
    return cells.start + ((torch.arange(POINTS) + 0.5) / POINTS * (cells.stop - cells.start)).long()


@dataclass
class _Site:
    attention: str
    images: int = 0
    parts: dict[str, _Part] = field(default_factory=dict)
    lookings: Lookings = field(default_factory=Lookings)


class _Part:
    def __init__(self, part: Part) -> None:
        self.name, self.range = part.name, part.range
        self.role: Role = part.role
        self.moments, self.near = Moments(), Moments()

    def take(self, values: Tensor) -> None:
        self.moments.update(values)
        if self.range is not None:
            low, high = self.range
            margin = NEAR_AN_END * (high - low)
            near = (values < low + margin) | (values > high - margin)
            self.near.update(near.float().mean((1, 2, 3)))

    def statistics(self) -> PartStatistics:
        # The law of total variance, over images and the values of an image.
        mean, between = self.moments.mean, float(self.moments.variance.mean())
        return PartStatistics(
            self.name,
            self.role,
            self.range,
            mean=float(mean.mean()),
            std=math.sqrt(between + float(mean.var(correction=0))),
            between=math.sqrt(between),
            saturated=float(self.near.mean) if self.range is not None else None,
            means=mean.mean((1, 2)),
        )
