"""The published recipe for long runs, and the automatic choices for short runs."""

import pytest

from attendet.training.config_sections import OptimizerConfig, ScheduleConfig
from attendet.training.recipe import choose_recipe


def test_a_long_run_is_as_published() -> None:
    recipe = choose_recipe(OptimizerConfig(), ScheduleConfig(epochs=300, batch_size=16), steps_per_epoch=1000)
    assert (recipe.name, recipe.lr0, recipe.momentum) == ("SGD", 0.01, 0.937)
    assert (recipe.warmup_steps, recipe.warmup_momentum, recipe.warmup_bias_lr) == (3000, 0.8, 0.1)
    assert (recipe.accumulate, recipe.weight_decay) == (4, 5e-4)
    assert (recipe.ema_decay, recipe.ema_ramp) == (0.9999, 2000)
    assert (recipe.total_steps, recipe.cosine) == (300_000, False)


@pytest.mark.parametrize(
    ("batch_size", "accumulate", "decay"),
    # Weight decay is scaled with the number of images per step over 64.
    [(1, 64, 5e-4), (24, 3, 5e-4 * 72 / 64), (64, 1, 5e-4), (128, 1, 1e-3)],
)
def test_gradients_are_accumulated_to_64_images(batch_size: int, accumulate: int, decay: float) -> None:
    recipe = choose_recipe(OptimizerConfig(), ScheduleConfig(batch_size=batch_size), steps_per_epoch=1000)
    assert recipe.accumulate == accumulate
    assert recipe.weight_decay == pytest.approx(decay)


def test_warm_up_is_at_least_100_batches() -> None:
    recipe = choose_recipe(OptimizerConfig(), ScheduleConfig(epochs=2000), steps_per_epoch=10)
    assert recipe.warmup_steps == 100


def test_explicit_settings_are_used() -> None:
    optimizer = OptimizerConfig(
        name="Adam",
        lr0=0.1,
        momentum=0.5,
        warmup_epochs=0,
        warmup_momentum=0.0,
        warmup_bias_lr=0.0,
        nominal_batch=32,
        ema_decay=0.0,
        ema_ramp=7,
        cos_lr=False,
    )
    recipe = choose_recipe(optimizer, ScheduleConfig(epochs=20), steps_per_epoch=13)
    chosen = (recipe.name, recipe.lr0, recipe.momentum, recipe.warmup_steps, recipe.accumulate, recipe.cosine)
    assert chosen == ("Adam", 0.1, 0.5, 0, 2, False)
    assert (recipe.warmup_momentum, recipe.warmup_bias_lr, recipe.ema_decay, recipe.ema_ramp) == (0, 0, 0, 7)


def test_a_short_run_has_other_settings_and_reasons() -> None:
    recipe = choose_recipe(OptimizerConfig(), ScheduleConfig(epochs=20, batch_size=16), steps_per_epoch=13)
    assert recipe.name == "AdamW"
    assert recipe.accumulate == 1
    # Three epochs of warm-up would be 39 of 260 batches. After half of the run, the initial weights are forgotten.
    assert 1 <= recipe.warmup_steps < 39
    assert recipe.ema_decay ** (260 / 2) < 0.01
    reasons = " | ".join(recipe.reasons)
    for chosen in (
        "260 batches in 20 epochs",
        "AdamW",
        f"{recipe.lr0:g}",
        f"{recipe.warmup_steps} batches of warm-up",
        f"decay {recipe.ema_decay:.4g}",
    ):
        assert chosen in reasons


@pytest.mark.parametrize("steps_per_epoch", [1, 2, 13, 9999])
@pytest.mark.parametrize("epochs", [1, 2, 5])
def test_every_length_has_a_valid_recipe(steps_per_epoch: int, epochs: int) -> None:
    recipe = choose_recipe(OptimizerConfig(), ScheduleConfig(epochs=epochs), steps_per_epoch)
    assert 0 < recipe.warmup_steps <= max(recipe.total_steps, 100 + 3 * steps_per_epoch)
    assert 0 <= recipe.ema_decay < 1


def test_pretrained_weights_have_a_small_learning_rate() -> None:
    schedule = ScheduleConfig(epochs=5)
    fresh, tuned = (
        choose_recipe(OptimizerConfig(), schedule, 13, pretrained=pretrained) for pretrained in (False, True)
    )
    assert (fresh.lr0, tuned.lr0) == (0.004, 0.0004)
    assert any("what the pretrained weights have learned" in reason for reason in tuned.reasons)
    # The published recipe and explicit settings do not depend on the weights.
    assert choose_recipe(OptimizerConfig(), schedule, 10_000, pretrained=True).lr0 == 0.01
    assert choose_recipe(OptimizerConfig(lr0=0.002), schedule, 13, pretrained=True).lr0 == 0.002
