"""Choose the optimizer settings of a run from its number of steps.

YOLOv5's published recipe is made for hundreds of thousands of steps on COCO: gradients accumulated to 64 images, three
epochs of warm-up, and weights averaged over thousands of steps. A run of a few hundred steps would end during warm-up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from attendet.training.config_sections import OptimizerConfig, ScheduleConfig
from attendet.utils.text import plural

# The weight average of the published recipe needs some thousands of steps to forget the initial weights.
_LONG_RUN_STEPS = 10_000
_PUBLISHED_BATCH = 64

# Chosen for short runs on 205 images of blood cells, see docs/results.md.
_SHORT_LR = 0.004
# With the rate above, pretrained weights were forgotten within an epoch, see docs/weights.md.
_SHORT_LR_PRETRAINED = 0.0004
_SHORT_WARMUP = 0.05
_SHORT_AVERAGE = 0.05
_SHORT_MOMENTUM = 0.9


@dataclass(frozen=True)
class TrainingRecipe:
    """The optimizer settings of a run, and why they were chosen.

    Attributes:
        name: "SGD", "Adam", or "AdamW".
        lr0: Learning rate after warm-up.
        cosine: Whether the learning rate follows a cosine instead of a line.
        momentum: Momentum of SGD, or β1 of Adam and AdamW.
        warmup_steps: Number of batches until the full learning rate.
        warmup_momentum: Momentum at the start of warm-up.
        warmup_bias_lr: Learning rate of biases at the start of warm-up.
        accumulate: Number of batches whose gradients are summed for one step.
        weight_decay: Weight decay of convolution and linear weights, for the number of images in a step.
        ema_decay: Largest decay of the averaged weights.
        ema_ramp: Number of steps over which that decay is approached.
        total_steps: Number of batches of the whole run.
        reasons: One sentence for each choice.
    """

    name: str
    lr0: float
    cosine: bool
    momentum: float
    warmup_steps: int
    warmup_momentum: float
    warmup_bias_lr: float
    accumulate: int
    weight_decay: float
    ema_decay: float
    ema_ramp: float
    total_steps: int
    reasons: tuple[str, ...]


def choose_recipe(
    optimizer: OptimizerConfig, schedule: ScheduleConfig, steps_per_epoch: int, *, pretrained: bool = False
) -> TrainingRecipe:
    """Return the recipe of a run; settings that are not set are chosen from the number of steps.

    Args:
        optimizer: The settings; None and "auto" are chosen.
        schedule: Number of epochs and batch size.
        steps_per_epoch: Number of batches in an epoch.
        pretrained: Whether the network starts from trained weights.

    Example:
        >>> recipe = choose_recipe(OptimizerConfig(), ScheduleConfig(epochs=20), steps_per_epoch=13)
        >>> recipe.name, recipe.accumulate
        ('AdamW', 1)
        >>> choose_recipe(OptimizerConfig(), ScheduleConfig(epochs=300), steps_per_epoch=1849).name
        'SGD'
    """
    steps = steps_per_epoch * schedule.epochs
    is_long = steps >= _LONG_RUN_STEPS
    name = ("SGD" if is_long else "AdamW") if optimizer.name == "auto" else optimizer.name
    nominal = optimizer.nominal_batch or (_PUBLISHED_BATCH if is_long else schedule.batch_size)
    accumulate = max(round(nominal / schedule.batch_size), 1)
    warmup = _warmup_steps(optimizer, steps_per_epoch, steps, is_long=is_long)
    ema_decay, ema_ramp = (0.9999, 2000.0) if is_long else _short_average(steps)
    recipe = TrainingRecipe(
        name=name,
        lr0=optimizer.lr0 or (0.01 if name == "SGD" else _SHORT_LR_PRETRAINED if pretrained else _SHORT_LR),
        cosine=not is_long if optimizer.cos_lr is None else optimizer.cos_lr,
        momentum=_or_default(optimizer.momentum, 0.937 if name == "SGD" else _SHORT_MOMENTUM),
        warmup_steps=warmup,
        warmup_momentum=_or_default(optimizer.warmup_momentum, 0.8),
        warmup_bias_lr=_or_default(optimizer.warmup_bias_lr, 0.1 if name == "SGD" else 0.0),
        accumulate=accumulate,
        weight_decay=optimizer.weight_decay * schedule.batch_size * accumulate / nominal,
        ema_decay=_or_default(optimizer.ema_decay, ema_decay),
        ema_ramp=optimizer.ema_ramp or max(ema_ramp, 1.0),
        total_steps=steps,
        reasons=(),
    )
    return replace(recipe, reasons=_reasons(recipe, optimizer, schedule, is_long=is_long, pretrained=pretrained))


def _reasons(
    recipe: TrainingRecipe, optimizer: OptimizerConfig, schedule: ScheduleConfig, *, is_long: bool, pretrained: bool
) -> tuple[str, ...]:
    steps = recipe.total_steps
    kind = "long" if is_long else "short"
    length = f"{plural(steps, 'batch', 'batches')} in {plural(schedule.epochs, 'epoch')}"
    reasons = [f"{length}: a {kind} run (the published recipe is used from {_LONG_RUN_STEPS:,} batches)"]
    if optimizer.name == "auto" or optimizer.lr0 is None:
        adaptive = "it adapts the step of each weight, so that few steps are enough"
        careful = "small steps keep what the pretrained weights have learned"
        reason = "as published" if recipe.name == "SGD" else adaptive
        reason = careful if recipe.name != "SGD" and pretrained and optimizer.lr0 is None else reason
        reasons.append(f"{recipe.name}, learning rate {recipe.lr0:g}: {reason}")
    if optimizer.cos_lr is None:
        shape = "along a line, as published" if is_long else "along a cosine, which stays high for longer"
        reasons.append(f"the learning rate decreases to {optimizer.lrf:.0%} {shape}")
    if optimizer.warmup_epochs is None:
        reason = "as published" if is_long else f"{_SHORT_WARMUP:.0%} of the run; three epochs would be most of it"
        reasons.append(f"{plural(recipe.warmup_steps, 'batch', 'batches')} of warm-up: {reason}")
    if optimizer.nominal_batch is None:
        published = f"gradients accumulated to {_PUBLISHED_BATCH} images, as published"
        reason = published if is_long else "every batch is a step; accumulating to 64 images would leave too few steps"
        reasons.append(f"{plural(recipe.accumulate, 'batch', 'batches')} per step: {reason}")
    if optimizer.ema_decay is None:
        short = f"over the last {_SHORT_AVERAGE:.0%} of the run; 0.9999 would keep the initial weights"
        reasons.append(f"weights averaged with decay {recipe.ema_decay:.4g}: {'as published' if is_long else short}")
    return tuple(reasons)


def _short_average(steps: int) -> tuple[float, float]:
    """Return the decay of the averaged weights and the number of steps over which it is approached."""
    horizon = max(steps * _SHORT_AVERAGE, 2.0)
    return 1 - 1 / horizon, horizon


def _warmup_steps(optimizer: OptimizerConfig, steps_per_epoch: int, steps: int, *, is_long: bool) -> int:
    if optimizer.warmup_epochs is not None:
        return round(optimizer.warmup_epochs * steps_per_epoch)
    return max(3 * steps_per_epoch, 100) if is_long else math.ceil(steps * _SHORT_WARMUP)


def _or_default(value: float | None, default: float) -> float:
    return default if value is None else value
