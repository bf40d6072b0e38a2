"""How the weights are moved, chosen from the number of steps.

YOLOv5's published recipe is made for hundreds of thousands of steps on COCO: gradients summed to 64 images, three
epochs of warm-up, weights averaged over thousands of steps. A run of a few hundred steps ends before that has begun.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from attendet.training.config import OptimizerConfig, ScheduleConfig
from attendet.utils.text import plural

# The published recipe's averaging alone needs some thousands of steps to forget the start.
LONG_RUN = 10_000
PUBLISHED_BATCH = 64

# Of short runs: chosen on 205 images of blood cells, see docs/results.md.
SHORT_LR = 0.004
# Of trained weights: at the rate above they were forgotten within an epoch, see docs/weights.md.
SHORT_TUNING_LR = 0.0004
SHORT_WARMUP = 0.05
SHORT_AVERAGE = 0.05
SHORT_MOMENTUM = 0.9


@dataclass(frozen=True)
class TrainingRecipe:
    """What was chosen, and why.

    Attributes:
        name: SGD, Adam or AdamW.
        lr0: Learning rate after warm-up.
        cosine: Whether it falls along a cosine instead of a line.
        momentum: Momentum of SGD, β1 of Adam and AdamW.
        warmup_steps: Batches until the full learning rate.
        warmup_momentum: Momentum at the start.
        warmup_bias_lr: Learning rate of biases at the start.
        accumulate: Batches whose gradients are summed into one step.
        weight_decay: On convolution and linear weights, for this many images a step.
        ema_decay: Largest decay of the averaged weights.
        ema_ramp: Steps in which that decay is approached.
        total_steps: Batches of the whole run.
        reasons: What was chosen and why, a sentence each.
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
    optimizer: OptimizerConfig, schedule: ScheduleConfig, steps_per_epoch: int, *, trained: bool = False
) -> TrainingRecipe:
    """Return the recipe of a run: what the configuration says, and for the rest what suits the number of steps.

    Args:
        optimizer: What is set; None and `auto` are chosen.
        schedule: Epochs and batch size.
        steps_per_epoch: Batches in an epoch.
        trained: Whether the network starts from weights that know most of it already.

    Example:
        >>> recipe = choose_recipe(OptimizerConfig(), ScheduleConfig(epochs=20), steps_per_epoch=13)
        >>> recipe.name, recipe.accumulate
        ('AdamW', 1)
        >>> choose_recipe(OptimizerConfig(), ScheduleConfig(epochs=300), steps_per_epoch=1849).name
        'SGD'
    """
    steps = steps_per_epoch * schedule.epochs
    is_long = steps >= LONG_RUN
    name = ("SGD" if is_long else "AdamW") if optimizer.name == "auto" else optimizer.name
    nominal = optimizer.nominal_batch or (PUBLISHED_BATCH if is_long else schedule.batch_size)
    accumulate = max(round(nominal / schedule.batch_size), 1)
    warmup = _warmup_steps(optimizer, steps_per_epoch, steps, is_long=is_long)
    ema_decay, ema_ramp = (0.9999, 2000.0) if is_long else _short_average(steps)
    recipe = TrainingRecipe(
        name=name,
        lr0=optimizer.lr0 or (0.01 if name == "SGD" else SHORT_TUNING_LR if trained else SHORT_LR),
        cosine=not is_long if optimizer.cos_lr is None else optimizer.cos_lr,
        momentum=_given(optimizer.momentum, 0.937 if name == "SGD" else SHORT_MOMENTUM),
        warmup_steps=warmup,
        warmup_momentum=_given(optimizer.warmup_momentum, 0.8),
        warmup_bias_lr=_given(optimizer.warmup_bias_lr, 0.1 if name == "SGD" else 0.0),
        accumulate=accumulate,
        weight_decay=optimizer.weight_decay * schedule.batch_size * accumulate / nominal,
        ema_decay=_given(optimizer.ema_decay, ema_decay),
        ema_ramp=optimizer.ema_ramp or max(ema_ramp, 1.0),
        total_steps=steps,
        reasons=(),
    )
    return replace(recipe, reasons=_reasons(recipe, optimizer, schedule, is_long=is_long, trained=trained))


def _reasons(
    recipe: TrainingRecipe, optimizer: OptimizerConfig, schedule: ScheduleConfig, *, is_long: bool, trained: bool
) -> tuple[str, ...]:
    steps = recipe.total_steps
    kind = "long" if is_long else "short"
    length = f"{plural(steps, 'batch', 'batches')} in {plural(schedule.epochs, 'epoch')}"
    told = [f"{length}: a {kind} run (published recipe from {LONG_RUN:,} batches)"]
    if optimizer.name == "auto" or optimizer.lr0 is None:
        adapts = "each weight's step adapts, so that few are enough"
        kept = "small steps, which do not wash out what the weights know"
        why = "as published" if recipe.name == "SGD" else kept if trained and optimizer.lr0 is None else adapts
        told.append(f"{recipe.name}, learning rate {recipe.lr0:g}: {why}")
    if optimizer.cos_lr is None:
        why = "along a line, as published" if is_long else "along a cosine, which stays high for longer"
        told.append(f"the learning rate falls to {optimizer.lrf:.0%} {why}")
    if optimizer.warmup_epochs is None:
        why = "as published" if is_long else f"{SHORT_WARMUP:.0%} of the run; three epochs would be most of it"
        told.append(f"{plural(recipe.warmup_steps, 'batch', 'batches')} of warm-up: {why}")
    if optimizer.nominal_batch is None:
        if is_long:
            why = f"gradients summed to {PUBLISHED_BATCH} images, as published"
        else:
            why = "every batch is a step; summing to 64 images would leave too few"
        told.append(f"{plural(recipe.accumulate, 'batch', 'batches')} a step: {why}")
    if optimizer.ema_decay is None:
        why = (
            "as published" if is_long else f"the last {SHORT_AVERAGE:.0%} of the run; 0.9999 would not leave the start"
        )
        told.append(f"weights averaged with decay {recipe.ema_decay:.4g}: {why}")
    return tuple(told)


def _short_average(steps: int) -> tuple[float, float]:
    horizon = max(steps * SHORT_AVERAGE, 2.0)
    return 1 - 1 / horizon, horizon


def _warmup_steps(optimizer: OptimizerConfig, steps_per_epoch: int, steps: int, *, is_long: bool) -> int:
    if optimizer.warmup_epochs is not None:
        return round(optimizer.warmup_epochs * steps_per_epoch)
    return max(3 * steps_per_epoch, 100) if is_long else math.ceil(steps * SHORT_WARMUP)


def _given(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value
