"""Parameter groups, and the learning rate and momentum of every step."""

from __future__ import annotations

import math

from torch import nn
from torch.nn import Parameter
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import SGD, Adam, AdamW, Optimizer

from attendet.engine.recipe import Recipe


def build_optimizer(model: nn.Module, recipe: Recipe) -> Optimizer:
    """Return the optimizer of a network: one group of biases, one of norms and scalars, one of decayed weights.

    Example:
        >>> from attendet.engine.config import OptimizerConfig, ScheduleConfig
        >>> from attendet.engine.recipe import choose_recipe
        >>> recipe = choose_recipe(OptimizerConfig(name="SGD"), ScheduleConfig(), steps_per_epoch=100)
        >>> [len(group["params"]) for group in build_optimizer(nn.Linear(2, 3), recipe).param_groups]
        [1, 0, 1]
    """
    biases, plain, decayed = parameter_groups(model)
    groups = [
        {"params": biases, "weight_decay": 0.0, "is_bias": True},
        {"params": plain, "weight_decay": 0.0, "is_bias": False},
        {"params": decayed, "weight_decay": recipe.weight_decay, "is_bias": False},
    ]
    if recipe.name == "SGD":
        return SGD(groups, lr=recipe.lr0, momentum=recipe.momentum, nesterov=True)
    kind = Adam if recipe.name == "Adam" else AdamW
    return kind(groups, lr=recipe.lr0, betas=(recipe.momentum, 0.999))


def parameter_groups(model: nn.Module) -> tuple[list[Parameter], list[Parameter], list[Parameter]]:
    """Return a network's trained parameters: biases; norms, gates' scalars and other vectors; decayed weights."""
    biases: list[Parameter] = []
    plain: list[Parameter] = []
    decayed: list[Parameter] = []
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if not parameter.requires_grad:
                continue
            if name.endswith("bias"):
                biases.append(parameter)
            elif isinstance(module, _BatchNorm) or parameter.ndim < 2:
                plain.append(parameter)
            else:
                decayed.append(parameter)
    return biases, plain, decayed


def set_rates(optimizer: Optimizer, recipe: Recipe, step: int, *, final: float) -> None:
    """Set learning rates and momentum for one step; a function of the step alone, so that resuming changes nothing.

    Args:
        optimizer: From `build_optimizer`.
        recipe: The run's.
        step: Batches so far.
        final: Last learning rate as a share of the first.
    """
    warm = min(1.0, (step + 1) / recipe.warmup_steps) if recipe.warmup_steps else 1.0
    rate = recipe.lr0 * falling(step / recipe.total_steps, final, cosine=recipe.cosine)
    momentum = recipe.warmup_momentum + (recipe.momentum - recipe.warmup_momentum) * warm
    for group in optimizer.param_groups:
        start = recipe.warmup_bias_lr if group["is_bias"] else 0.0
        group["lr"] = start + (rate - start) * warm
        if "betas" in group:
            group["betas"] = (momentum, group["betas"][1])
        else:
            group["momentum"] = momentum


def falling(share: float, final: float, *, cosine: bool) -> float:
    """Return the factor of the learning rate after a share (0-1) of the run: from 1 to `final`.

    Example:
        >>> falling(0.0, 0.01, cosine=False), falling(1.0, 0.01, cosine=True)
        (1.0, 0.01)
    """
    share = min(share, 1.0)
    height = (1 + math.cos(math.pi * share)) / 2 if cosine else 1 - share
    return final + (1 - final) * height
