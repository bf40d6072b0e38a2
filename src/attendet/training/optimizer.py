"""Parameter groups of the optimizer, and the learning rates and the momentum of every step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import nn
from torch.nn import Parameter
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import SGD, Adam, AdamW, Optimizer

from attendet.attention.base import Attention
from attendet.training.config_sections import OptimizerConfig
from attendet.training.recipe import TrainingRecipe


def build_optimizer(model: nn.Module, recipe: TrainingRecipe, config: OptimizerConfig) -> Optimizer:
    """Return the optimizer of a network.

    Every parameter group is split into biases, norms and scalars, and other weights. The whole network is a single
    group, with two exceptions. If attention has a learning rate of its own, it is a separate group, the last one. If
    rows are released one after another, every row is a group, the last row first.

    Args:
        model: The network; parameters without gradients are left out.
        recipe: Optimizer, learning rate, momentum, and weight decay.
        config: Learning rate factors of attention and of everything else, and the epochs of releasing rows.

    Example:
        >>> from attendet.training.config_sections import ScheduleConfig
        >>> from attendet.training.recipe import choose_recipe
        >>> config = OptimizerConfig(name="SGD")
        >>> recipe = choose_recipe(config, ScheduleConfig(), steps_per_epoch=100)
        >>> [len(group["params"]) for group in build_optimizer(nn.Linear(2, 3), recipe, config).param_groups]
        [1, 0, 1]
    """
    by_row = config.release_epochs > 0
    split_attention = by_row or config.attention_rate != config.base_rate
    groups = parameter_groups(model, split_attention=split_attention, by_row=by_row)
    options = [
        {
            "params": parameters,
            "weight_decay": recipe.weight_decay if kind == "decayed" else 0.0,
            "is_bias": kind == "bias",
            "is_attention": group.is_attention,
            "rate": config.attention_rate if group.is_attention else config.base_rate,
            "row": group.row,
        }
        for group, kinds in groups.items()
        for kind, parameters in kinds.items()
    ]
    if recipe.name == "SGD":
        return SGD(options, lr=recipe.lr0, momentum=recipe.momentum, nesterov=True)
    optimizer = Adam if recipe.name == "Adam" else AdamW
    return optimizer(options, lr=recipe.lr0, betas=(recipe.momentum, 0.999))


@dataclass(frozen=True)
class ParameterGroup:
    """The identity of a group of parameters that share a learning rate.

    Attributes:
        is_attention: Whether the parameters belong to attention.
        row: Number of the row that the parameters belong to; None if rows share a learning rate.
    """

    is_attention: bool = False
    row: int | None = None


def parameter_groups(
    model: nn.Module, *, split_attention: bool = False, by_row: bool = False
) -> dict[ParameterGroup, dict[str, list[Parameter]]]:
    """Return the trained parameters of a network by group, and in each group by kind.

    The kinds are "bias", "plain" (norms, scalars, and other vectors), and "decayed" (all other weights).

    Args:
        model: The network.
        split_attention: Whether attention is a group of its own.
        by_row: Whether every row of the detector is a group of its own.

    Example:
        >>> groups = parameter_groups(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)))
        >>> {kind: len(parameters) for kind, parameters in groups[ParameterGroup()].items()}
        {'bias': 2, 'plain': 1, 'decayed': 1}
    """
    attention = {child for module in model.modules() if isinstance(module, Attention) for child in module.modules()}
    groups: dict[ParameterGroup, dict[str, list[Parameter]]] = {}
    for path, module in model.named_modules():
        is_attention = split_attention and module in attention
        # Attention is not held back with its row, because new parameters have the most to learn.
        group = ParameterGroup(is_attention, _row(path) if by_row and not is_attention else None)
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.requires_grad:
                kinds = groups.setdefault(group, {"bias": [], "plain": [], "decayed": []})
                kinds[_kind(module, name, parameter)].append(parameter)
    return dict(sorted(groups.items(), key=lambda item: (item[0].is_attention, -(item[0].row or 0))))


def _kind(module: nn.Module, name: str, parameter: Parameter) -> str:
    if name.endswith("bias"):
        return "bias"
    return "plain" if isinstance(module, _BatchNorm) or parameter.ndim < 2 else "decayed"


def _row(path: str) -> int | None:
    """Return the row of a detector that a module belongs to (`model.9.cv1` → 9), or None."""
    parts = path.split(".")
    return int(parts[1]) if len(parts) > 1 and parts[0] == "model" and parts[1].isdecimal() else None


def set_learning_rates(
    optimizer: Optimizer,
    recipe: TrainingRecipe,
    step: int,
    *,
    final: float,
    is_released: Callable[[int], bool] | None = None,
) -> None:
    """Set the learning rates and the momentum of one step, as a function of the step alone.

    Because no other state is involved, a resumed run continues with the same values.

    Args:
        optimizer: The optimizer from `build_optimizer`; changed in place.
        recipe: The recipe of the run.
        step: Number of batches so far.
        final: Final learning rate as a fraction of the initial one (0-1).
        is_released: Returns whether a row is trained already; None if all rows are.
    """
    warm = min(1.0, (step + 1) / recipe.warmup_steps) if recipe.warmup_steps else 1.0
    rate = recipe.lr0 * decay_factor(step / recipe.total_steps, final, cosine=recipe.cosine)
    momentum = recipe.warmup_momentum + (recipe.momentum - recipe.warmup_momentum) * warm
    for group in optimizer.param_groups:
        start = recipe.warmup_bias_lr if group["is_bias"] else 0.0
        held_back = is_released is not None and group["row"] is not None and not is_released(group["row"])
        group["lr"] = 0.0 if held_back else (start + (rate - start) * warm) * group["rate"]
        if "betas" in group:
            group["betas"] = (momentum, group["betas"][1])
        else:
            group["momentum"] = momentum


def decay_factor(progress: float, final: float, *, cosine: bool) -> float:
    """Return the factor of the learning rate at a point of the run; it decreases from 1 to `final`.

    Args:
        progress: Fraction of the run that is completed; values above 1 count as 1.
        final: Factor at the end of the run (0-1).
        cosine: Whether the factor follows a cosine instead of a line.

    Example:
        >>> decay_factor(0.0, 0.01, cosine=False), decay_factor(1.0, 0.01, cosine=True)
        (1.0, 0.01)
    """
    progress = min(progress, 1.0)
    height = (1 + math.cos(math.pi * progress)) / 2 if cosine else 1 - progress
    return final + (1 - final) * height
