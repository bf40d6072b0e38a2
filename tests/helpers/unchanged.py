"""What has to be left of a network as it was, by whoever looks at it or takes back what it has done."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class Facts:
    """All of a network that may be told from another: weights, modules, flags, gradients, hooks and attributes."""

    def __init__(self, model: nn.Module) -> None:
        self.state = [(key, value.clone()) for key, value in model.state_dict().items()]
        self.modules = [(path, id(module), type(module)) for path, module in model.named_modules()]
        self.training = [module.training for module in model.modules()]
        self.gradients = [(value.requires_grad, value.grad is None) for value in model.parameters()]
        self.hooks = hooks(model)
        self.attributes = [sorted(vars(module)) for module in model.modules()]

    def still_hold(self, model: nn.Module) -> bool:
        """Return whether the network is as it was."""
        before, now = vars(self).copy(), vars(Facts(model))
        return same(before.pop("state"), now.pop("state")) and before == now


def same(before: list[tuple[str, torch.Tensor]], now: list[tuple[str, torch.Tensor]]) -> bool:
    return [key for key, _ in before] == [key for key, _ in now] and all(
        torch.equal(a, b) for (_, a), (_, b) in zip(before, now, strict=True)
    )


def hooks(model: nn.Module) -> dict[str, list[Any]]:
    """Return everything that hangs on the modules of a network, of whatever kind."""
    return {
        f"{path}.{name}": list(value.items())
        for path, module in model.named_modules()
        for name, value in vars(module).items()
        if "hooks" in name and isinstance(value, dict) and value
    }
