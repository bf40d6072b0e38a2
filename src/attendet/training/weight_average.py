"""An exponential moving average of the weights over the steps of training."""

from __future__ import annotations

import copy
import math

import torch
from torch import nn


class AveragedWeights(nn.Module):
    """An exponential moving average of a network's weights and batch statistics.

    After step t, the decay is decay · (1 − e^(−t/ramp)), so that the first steps are soon forgotten.

    Args:
        model: The network; the average starts as a copy of it.
        decay: Largest decay (0-1).
        ramp: Number of steps over which the decay approaches its largest value.

    Example:
        >>> model = nn.Linear(1, 1)
        >>> averaged = AveragedWeights(model, decay=0.9, ramp=1.0)
        >>> averaged.update(model)
        >>> torch.equal(averaged.model.weight, model.weight)
        True
    """

    steps: torch.Tensor

    def __init__(self, model: nn.Module, decay: float, ramp: float) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).requires_grad_(requires_grad=False)
        self.decay, self.ramp = decay, ramp
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        self.train(mode=False)

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Update the average with the weights of the network after a step."""
        self.steps += 1
        decay = self.decay * (1 - math.exp(-self.steps.item() / self.ramp))
        current = model.state_dict()
        for key, average in self.model.state_dict().items():
            if average.is_floating_point():
                average.lerp_(current[key].to(average.dtype), 1 - decay)
            else:
                average.copy_(current[key])
