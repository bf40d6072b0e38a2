"""Compare a network with an earlier snapshot of it."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class ModuleSnapshot:
    """Weights, modules, modes, gradients, hooks, and attribute names of a network."""

    def __init__(self, model: nn.Module) -> None:
        self.state = [(key, value.clone()) for key, value in model.state_dict().items()]
        self.modules = [(path, id(module), type(module)) for path, module in model.named_modules()]
        self.training = [module.training for module in model.modules()]
        self.gradients = [(value.requires_grad, value.grad is None) for value in model.parameters()]
        self.hooks = hooks(model)
        self.attributes = [sorted(vars(module)) for module in model.modules()]

    def matches(self, model: nn.Module) -> bool:
        """Return whether nothing in the network has changed since the snapshot."""
        before, now = vars(self).copy(), vars(ModuleSnapshot(model))
        return same(before.pop("state"), now.pop("state")) and before == now


def same(before: list[tuple[str, torch.Tensor]], now: list[tuple[str, torch.Tensor]]) -> bool:
    return [key for key, _ in before] == [key for key, _ in now] and all(
        torch.equal(a, b) for (_, a), (_, b) in zip(before, now, strict=True)
    )


def hooks(model: nn.Module) -> dict[str, list[Any]]:
    """Return all hooks of the modules of a network."""
    return {
        f"{path}.{name}": list(value.items())
        for path, module in model.named_modules()
        for name, value in vars(module).items()
        if "hooks" in name and isinstance(value, dict) and value
    }
