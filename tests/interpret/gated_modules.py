"""Attention modules with given weights, and the statistics that a collector returns for them."""

import torch
from torch import Tensor, nn

from attendet.attention.base import Attention, AttentionWeights, Gate
from attendet.interpret.capture import capture_attention
from attendet.interpret.image_region import ImageRegion
from attendet.interpret.site_statistics import SiteStatistics, SiteStatisticsCollector


class GivenGate(Gate):
    """A gate whose weights are a function of the images."""

    def __init__(self, function) -> None:
        super().__init__("paper")
        self.function = function

    def logits(self, x: Tensor) -> Tensor:
        return torch.logit(self.function(x))


class GatedFeatures(Attention):
    """Features times a gate."""

    paper = "no paper: a test"

    def __init__(self, function) -> None:
        super().__init__()
        self.gate = GivenGate(function)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x)


class FeaturesAsWeights(AttentionWeights):
    """Features as their own weights, of either sign."""

    def forward(self, x: Tensor) -> Tensor:
        return x


class SquaredFeatures(Attention):
    """Features times themselves."""

    paper = "no paper: a test"

    def __init__(self) -> None:
        super().__init__()
        self.weights = FeaturesAsWeights()

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weights(x)


def collect_statistics(
    model: nn.Module, batches: list[Tensor], regions: list[list[ImageRegion]] | None = None
) -> SiteStatistics:
    """Return the statistics of the only site of a network; without regions, images have no padding and no objects."""
    statistics = SiteStatisticsCollector()
    for number, batch in enumerate(batches):
        whole = ImageRegion.from_boxes(batch.shape[2], batch.shape[3], torch.zeros(0, 4))
        of_batch = regions[number] if regions else [whole] * len(batch)
        with (
            capture_attention(model, lambda call, of_batch=of_batch: statistics.add(call, of_batch)),
            torch.no_grad(),
        ):
            model(batch)
    (site,) = statistics.sites()
    return site
