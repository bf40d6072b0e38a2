"""Statistics of attention weights over many images: their size, and whether they depend on the image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from attendet.interpret.capture import AttentionPass, GateOutput, OutputRole
from attendet.interpret.image_region import ImageRegion
from attendet.interpret.maps import SATURATION_MARGIN, spatial_weights
from attendet.interpret.object_overlap import MeanObjectOverlap, ObjectOverlap, overlap_with_objects

POINTS = 20
"""Sample points along each side of an image: as many as a map of stride 32 of 640 pixels has cells."""


@dataclass(frozen=True)
class PartStatistics:
    """Statistics of the output of one part of an attention module over many images.

    The values are the weights of each channel at 20 x 20 points of each image, without its padding, so that images of
    different shapes can be compared. A part that does not vary over positions has one value per channel. Every image
    counts equally.

    Attributes:
        name: Path of the part in the attention module, such as `channel`, `spatial`, or `gate`.
        role: What the output does, as in `GateOutput`.
        range: Smallest and largest weight of a gate; None for other roles.
        mean: Mean of all values.
        std: Standard deviation of all values.
        between: Standard deviation between images: the root mean square of the differences between a value and its
            mean over the images.
        saturated: Fraction of the values within 5 % of an end of the range, 0-1; None without a range.
        means: (K,) mean of each channel, by which the output can be replaced.
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
    def fraction_between(self) -> float:
        """Fraction of the variance that is between images, 0-1; 0 for weights that are the same for every image."""
        return (self.between / self.std) ** 2 if self.std > 0 else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the statistics as plain values, ready for JSON."""
        return {
            "name": self.name,
            "role": self.role,
            "range": self.range,
            "mean": self.mean,
            "std": self.std,
            "between": self.between,
            "fraction_between": self.fraction_between,
            "saturated": self.saturated,
            "means": self.means.tolist(),
        }


@dataclass(frozen=True)
class SiteStatistics:
    """Statistics of one attention module over many images.

    Attributes:
        path: Path of the attention module in the network.
        attention: Name of its class.
        images: Number of images.
        parts: Statistics of its parts, in the order in which they run; empty for a module without parts.
        object_overlap: How the weights over positions overlap with objects: the mean over the images that have boxes
            and no negative weights. None if there is no such image, or the weights do not vary over positions.
    """

    path: str
    attention: str
    images: int
    parts: tuple[PartStatistics, ...]
    object_overlap: ObjectOverlap | None


class SiteStatisticsCollector:
    """A collector of statistics of attention modules, in memory that does not depend on the number of images.

    Example:
        >>> from attendet.attention import create
        >>> from attendet.interpret.capture import capture_attention
        >>> model = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 3), create("cbam", 16, reduction=4))
        >>> statistics, images = SiteStatisticsCollector(), torch.rand(2, 3, 32, 32)
        >>> regions = [ImageRegion.from_boxes(32, 32, torch.tensor([[0.0, 0.0, 16.0, 16.0]]))] * 2
        >>> with capture_attention(model, lambda call: statistics.add(call, regions)):
        ...     _ = model(images)
        >>> [(site.path, [part.name for part in site.parts]) for site in statistics.sites()]
        [('1', ['channel', 'spatial'])]
    """

    def __init__(self) -> None:
        self._sites: dict[str, _SiteSums] = {}

    def add(self, call: AttentionPass, regions: Sequence[ImageRegion]) -> None:
        """Add a call of an attention module.

        Args:
            call: The call with a batch of images.
            regions: Position of each image of the batch, and of its objects.
        """
        site = self._sites.setdefault(call.path, _SiteSums(type(call.module).__name__))
        site.images += len(regions)
        for part in call.applied_parts:
            site.parts.setdefault(part.name, _PartSums(part)).add(sample_points(part.value, call.before, regions))
        weights = spatial_weights(call)
        if weights is not None:
            for image_weights, region in zip(weights, regions, strict=True):
                height, width = image_weights.shape
                crop = region.crop(height, width)
                site.overlap.add(overlap_with_objects(image_weights[crop], region.coverage(height, width)[crop]))

    def sites(self) -> tuple[SiteStatistics, ...]:
        """Return the statistics of each module so far, in the order in which the modules ran."""
        return tuple(
            SiteStatistics(
                path,
                site.attention,
                site.images,
                tuple(part.statistics() for part in site.parts.values()),
                site.overlap.mean(),
            )
            for path, site in self._sites.items()
        )


def sample_points(weights: Tensor, features: Tensor, regions: Sequence[ImageRegion]) -> Tensor:
    """Return (N, K, 20, 20): the weights at 20 x 20 points of each image; (N, K, 1, 1) without positions.

    Args:
        weights: Weights that broadcast over the features: (N, C, H, W), (N, 1, H, W), or (N, C, H, 1); or
            (N, M, C, 1, 1) of M branches, which become K = M·C channels. N may be 1 for weights that all images share.
        features: (N, C, H, W).
        regions: Position of each image.
    """
    count, (height, width) = len(features), features.shape[2:]
    weights = weights.expand(count, *weights.shape[1:]).flatten(1, -3)
    if weights.shape[2:] == (1, 1):
        return weights
    maps = weights.expand(-1, -1, height, width)
    crops = [region.crop(height, width) for region in regions]
    rows = torch.stack([_sampled_cells(rows) for rows, _ in crops]).to(maps.device)
    columns = torch.stack([_sampled_cells(columns) for _, columns in crops]).to(maps.device)
    images = torch.arange(count, device=maps.device)[:, None, None]
    # Indexing on both sides of a slice moves the sliced axis to the end.
    return maps[images, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _sampled_cells(cells: slice) -> Tensor:
    return cells.start + ((torch.arange(POINTS) + 0.5) / POINTS * (cells.stop - cells.start)).long()


@dataclass
class _SiteSums:
    attention: str
    images: int = 0
    parts: dict[str, _PartSums] = field(default_factory=dict)
    overlap: MeanObjectOverlap = field(default_factory=MeanObjectOverlap)


class _PartSums:
    def __init__(self, part: GateOutput) -> None:
        self.name, self.range = part.name, part.range
        self.role: OutputRole = part.role
        self.moments, self.saturated = RunningMoments(), RunningMoments()

    def add(self, values: Tensor) -> None:
        self.moments.update(values)
        if self.range is not None:
            low, high = self.range
            margin = SATURATION_MARGIN * (high - low)
            is_saturated = (values < low + margin) | (values > high - margin)
            self.saturated.update(is_saturated.float().mean((1, 2, 3)))

    def statistics(self) -> PartStatistics:
        # The law of total variance: the variance between images plus that between the values of an image.
        mean, variance_between = self.moments.mean, float(self.moments.variance.mean())
        return PartStatistics(
            self.name,
            self.role,
            self.range,
            mean=float(mean.mean()),
            std=math.sqrt(variance_between + float(mean.var(correction=0))),
            between=math.sqrt(variance_between),
            saturated=float(self.saturated.mean) if self.range is not None else None,
            means=mean.mean((1, 2)),
        )


class RunningMoments:
    """Mean and variance of each element over many tensors, in memory that does not depend on their number.

    Batches are merged by the formulas of Chan, Golub, and LeVeque, "Updating Formulae and a Pairwise Algorithm for
    Computing Sample Variances" (1979), which lose no digits if the mean is large compared with the deviations.

    Attributes:
        count: Number of tensors so far.
        mean: Mean of each element, float64 on the CPU; empty before the first batch, like `variance`.

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
        """Variance of each element over the tensors: the mean of the squared deviations."""
        return self._squares / max(1, self.count)

    def update(self, batch: Tensor) -> None:
        """Add a batch (n, ...) of tensors whose shape broadcasts with that of the tensors before.

        After batches (n, C, H, W), a batch (n, C, 1, 1) counts as one with the same value at all positions.
        """
        if not len(batch):
            return
        # Not every accelerator has float64. Float32 is exact enough for a few deviations from their own mean.
        values = batch.detach().float()
        center = values.mean(0)
        squares = (values - center).square().sum(0).cpu().double()
        mean, count = center.cpu().double(), len(values)
        if not self.count:
            self.count, self.mean, self._squares = count, mean, squares
            return
        total = self.count + count
        difference = mean - self.mean
        self._squares = self._squares + squares + difference.square() * (self.count * count / total)
        self.mean = self.mean + difference * (count / total)
        self.count = total
