"""Parameter groups, and the learning rate and momentum of every step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import nn
from torch.nn import Parameter
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import SGD, Adam, AdamW, Optimizer

from attendet.attention.base import Attention
from attendet.training.config import OptimizerConfig
from attendet.training.recipe import TrainingRecipe


def build_optimizer(model: nn.Module, recipe: TrainingRecipe, config: OptimizerConfig) -> Optimizer:
    """Return the optimizer of a network: of every part, one group of biases, one of norms and scalars, one of weights.

    There is one part. Where rates differ, attention is another, the last; where rows are released one by one, each row
    is one, the last row first.

    Example:
        >>> from attendet.training.config import ScheduleConfig
        >>> from attendet.training.recipe import choose_recipe
        >>> config = OptimizerConfig(name="SGD")
        >>> recipe = choose_recipe(config, ScheduleConfig(), steps_per_epoch=100)
        >>> [len(group["params"]) for group in build_optimizer(nn.Linear(2, 3), recipe, config).param_groups]
        [1, 0, 1]
    """
    by_row = config.release_epochs > 0
    parts = parameter_groups(model, split=by_row or config.attention_rate != config.base_rate, by_row=by_row)
    groups = [
        {
            "params": parameters,
            "weight_decay": recipe.weight_decay if kind == "decayed" else 0.0,
            "is_bias": kind == "bias",
            "is_attention": part.is_attention,
            "rate": config.attention_rate if part.is_attention else config.base_rate,
            "row": part.row,
        }
        for part, kinds in parts.items()
        for kind, parameters in kinds.items()
    ]
    if recipe.name == "SGD":
        return SGD(groups, lr=recipe.lr0, momentum=recipe.momentum, nesterov=True)
    kind = Adam if recipe.name == "Adam" else AdamW
    return kind(groups, lr=recipe.lr0, betas=(recipe.momentum, 0.999))


@dataclass(frozen=True)
class ParameterGroup:
    """What shares a learning rate.

    Attributes:
        is_attention: Whether it is attention.
        row: Number of the row it belongs to, where rows have rates of their own.
    """

    is_attention: bool = False
    row: int | None = None


def parameter_groups(
    model: nn.Module, *, split: bool = False, by_row: bool = False
) -> dict[ParameterGroup, dict[str, list[Parameter]]]:
    """Return a network's trained parameters by part and kind: biases; norms, scalars, other vectors; decayed weights.

    Example:
        >>> groups = parameter_groups(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)))
        >>> {kind: len(parameters) for kind, parameters in groups[ParameterGroup()].items()}
        {'bias': 2, 'plain': 1, 'decayed': 1}
    """
    attention = {child for module in model.modules() if isinstance(module, Attention) for child in module.modules()}
    groups: dict[ParameterGroup, dict[str, list[Parameter]]] = {}
    for path, module in model.named_modules():
        apart = split and module in attention
        # Attention is not held back with its row: what is new has most to learn.
        part = ParameterGroup(apart, _row(path) if by_row and not apart else None)
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.requires_grad:
                kinds = groups.setdefault(part, {"bias": [], "plain": [], "decayed": []})
                kinds[_kind(module, name, parameter)].append(parameter)
    return dict(sorted(groups.items(), key=lambda item: (item[0].is_attention, -(item[0].row or 0))))


def _kind(module: nn.Module, name: str, parameter: Parameter) -> str:
    if name.endswith("bias"):
        return "bias"
    return "plain" if isinstance(module, _BatchNorm) or parameter.ndim < 2 else "decayed"


def _row(path: str) -> int | None:
    """Return the row of a detector that a module belongs to (`model.9.cv1` → 9)."""
    parts = path.split(".")
    return int(parts[1]) if len(parts) > 1 and parts[0] == "model" and parts[1].isdecimal() else None


def set_rates(
    optimizer: Optimizer,
    recipe: TrainingRecipe,
    step: int,
    *,
    final: float,
    released: Callable[[int], bool] | None = None,
) -> None:
    """Set learning rates and momentum for one step; a function of the step alone, so that resuming changes nothing.

    Args:
        optimizer: From `build_optimizer`.
        recipe: The run's.
        step: Batches so far.
        final: Last learning rate as a share of the first.
        released: Whether a row is trained yet; all are if None.
    """
    warm = min(1.0, (step + 1) / recipe.warmup_steps) if recipe.warmup_steps else 1.0
    rate = recipe.lr0 * falling(step / recipe.total_steps, final, cosine=recipe.cosine)
    momentum = recipe.warmup_momentum + (recipe.momentum - recipe.warmup_momentum) * warm
    for group in optimizer.param_groups:
        start = recipe.warmup_bias_lr if group["is_bias"] else 0.0
        held_back = released is not None and group["row"] is not None and not released(group["row"])
        group["lr"] = 0.0 if held_back else (start + (rate - start) * warm) * group["rate"]
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
