"""What the weights of attention sites do over many images: how large they are, and whether they depend on the image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from attendet.interpret.capture import AttentionPass, GateOutput, OutputRole
from attendet.interpret.image_region import ImageRegion
from attendet.interpret.maps import NEAR_AN_END, spatial
from attendet.interpret.object_overlap import MeanObjectOverlap, ObjectOverlap, overlap_with_objects

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
    role: OutputRole
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
    looking: ObjectOverlap | None


class SiteStatisticsCollector:
    """Collects what sites do, batch by batch, in memory that does not grow with the number of images.

    Example:
        >>> from attendet.attention import create
        >>> from attendet.interpret.capture import capture_attention
        >>> model = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 3), create("cbam", 16, reduction=4))
        >>> statistics, images = SiteStatisticsCollector(), torch.rand(2, 3, 32, 32)
        >>> frames = [ImageRegion.of(32, 32, torch.tensor([[0.0, 0.0, 16.0, 16.0]]))] * 2
        >>> with capture_attention(model, lambda visit: statistics.take(visit, frames)):
        ...     _ = model(images)
        >>> [(site.path, [part.name for part in site.parts]) for site in statistics.sites()]
        [('1', ['channel', 'spatial'])]
    """

    def __init__(self) -> None:
        self._sites: dict[str, _Site] = {}

    def take(self, visit: AttentionPass, frames: Sequence[ImageRegion]) -> None:
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
                site.lookings.add(overlap_with_objects(each[shown], frame.coverage(height, width)[shown]))

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


def points(weights: Tensor, features: Tensor, frames: Sequence[ImageRegion]) -> Tensor:
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
    lookings: MeanObjectOverlap = field(default_factory=MeanObjectOverlap)


class _Part:
    def __init__(self, part: GateOutput) -> None:
        self.name, self.range = part.name, part.range
        self.role: OutputRole = part.role
        self.moments, self.near = RunningMoments(), RunningMoments()

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


class RunningMoments:
    """Mean and variance over all tensors so far, of each element by itself.

    Batches are merged by the formulas of Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for
    Computing Sample Variances" (1979), which lose no digits where a mean is large beside its deviations. What is kept
    does not grow with the number of tensors.

    Attributes:
        count: Tensors so far.
        mean: Of each element, float64 on the CPU; empty before the first batch, as `variance` is.

    Example:
        >>> moments = RunningMoments()
        >>> moments.update(torch.tensor([[1.0, 5.0], [3.0, 5.0]]))
        >>> moments.update(torch.tensor([[8.0, 5.0]]))
        >>> moments.mean.tolist(), moments.variance.round(decimals=3).tolist()
        ([4.0, 5.0], [8.667, 0.0])
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean = torch.zeros(0, dtype=torch.float64)
        self._squares = torch.zeros(0, dtype=torch.float64)

    @property
    def variance(self) -> Tensor:
        """Of each element over the tensors: the mean of the squared deviations."""
        return self._squares / max(1, self.count)

    def update(self, batch: Tensor) -> None:
        """Take a batch (n, ...) of tensors whose shape broadcasts with that of those before.

        A batch (n, C, 1, 1) after batches of (n, C, H, W) stands for one that is the same at all positions.
        """
        if not len(batch):
            return
        # Not every accelerator has float64; of a few tensors near their own mean float32 loses nothing.
        values = batch.detach().float()
        center = values.mean(0)
        squares = (values - center).square().sum(0).cpu().double()
        mean, count = center.cpu().double(), len(values)
        if not self.count:
            self.count, self.mean, self._squares = count, mean, squares
            return
        whole = self.count + count
        away = mean - self.mean
        self._squares = self._squares + squares + away.square() * (self.count * count / whole)
        self.mean = self.mean + away * (count / whole)
        self.count = whole
