"""Attention modules with given weights, and the statistics of their sites."""

import torch
from torch import Tensor, nn

from attendet.attention.base import Attention, AttentionWeights, Gate
from attendet.interpret.capture import capture_attention
from attendet.interpret.image_region import ImageRegion
from attendet.interpret.site_statistics import SiteStatistics, SiteStatisticsCollector


class Given(Gate):
    """A gate whose weights are a function of the images."""

    def __init__(self, function) -> None:
        super().__init__("paper")
        self.function = function

    def logits(self, x: Tensor) -> Tensor:
        return torch.logit(self.function(x))


class Gated(Attention):
    """Features times a gate."""

    paper = "no paper: a test"

    def __init__(self, function) -> None:
        super().__init__()
        self.gate = Given(function)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x)


class Itself(AttentionWeights):
    """Features as their own weights, of either sign."""

    def forward(self, x: Tensor) -> Tensor:
        return x


class Unbounded(Attention):
    """Features times themselves."""

    paper = "no paper: a test"

    def __init__(self) -> None:
        super().__init__()
        self.weights = Itself()

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weights(x)


def seen(model: nn.Module, batches: list[Tensor], frames: list[list[ImageRegion]] | None = None) -> SiteStatistics:
    statistics = SiteStatisticsCollector()
    for number, batch in enumerate(batches):
        of_batch = (
            frames[number]
            if frames
            else [ImageRegion.of(batch.shape[2], batch.shape[3], torch.zeros(0, 4))] * len(batch)
        )
        with (
            capture_attention(model, lambda visit, of_batch=of_batch: statistics.take(visit, of_batch)),
            torch.no_grad(),
        ):
            model(batch)
    (site,) = statistics.sites()
    return site
