"""Parameter groups of a network with attention; learning rates and momentum against numbers computed by hand."""

import math
from typing import Literal

import pytest
import torch
from torch import nn

import attendet
from attendet.training.config_sections import OptimizerConfig, ScheduleConfig
from attendet.training.optimizer import build_optimizer, set_learning_rates
from attendet.training.recipe import TrainingRecipe, choose_recipe


def recipe_of(cosine: bool = False, name: Literal["SGD", "Adam", "AdamW"] = "SGD") -> TrainingRecipe:
    """Return the recipe of 300 epochs with 1000 batches; warm-up takes 3000 of the 300,000 batches."""
    optimizer = OptimizerConfig(name=name, lr0=0.01, cos_lr=cosine)
    return choose_recipe(optimizer, ScheduleConfig(epochs=300), steps_per_epoch=1000)


def test_every_parameter_is_in_one_group_and_only_weights_decay() -> None:
    model = attendet.build("yolov5n_CBAM", num_classes=3)
    optimizer = build_optimizer(model, recipe_of(), OptimizerConfig())
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    grouped = [[names.pop(id(parameter)) for parameter in group["params"]] for group in optimizer.param_groups]
    assert not names
    biases, plain, decayed = grouped
    assert all(name.endswith("bias") for name in biases)
    assert all(".bn." in name or "norm" in name or name.split(".")[-1] != "weight" for name in plain)
    shapes = dict(model.named_parameters())
    assert all(shapes[name].ndim in (2, 4) for name in decayed)
    convolutions = [
        f"{name}.weight" for name, module in model.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)
    ]
    assert set(convolutions) <= set(decayed)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0, 0, 5e-4]


def test_frozen_parameters_are_in_no_group() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[0].requires_grad_(False)
    groups = build_optimizer(model, recipe_of(), OptimizerConfig()).param_groups
    assert [
        parameter is model[1].weight or parameter is model[1].bias for g in groups for parameter in g["params"]
    ] == [
        True,
        True,
    ]


@pytest.mark.parametrize(
    ("step", "rate", "bias_rate", "momentum"),
    [
        # The first batch completes one 3000th of the warm-up.
        (0, 0.01 / 3000, 0.1 - (0.1 - 0.01) / 3000, 0.8 + 0.137 / 3000),
        # At half of the warm-up, the line has decreased by 0.99 · 1499 / 300,000.
        (1499, 0.01 * (1 - 0.99 * 1499 / 3e5) / 2, (0.1 + 0.01 * (1 - 0.99 * 1499 / 3e5)) / 2, 0.8685),
        (2999, 0.01 * (1 - 0.99 * 2999 / 3e5), 0.01 * (1 - 0.99 * 2999 / 3e5), 0.937),
        (150_000, 0.00505, 0.00505, 0.937),
        (300_000, 0.0001, 0.0001, 0.937),
    ],
)
def test_linear_schedule(step: int, rate: float, bias_rate: float, momentum: float) -> None:
    optimizer = build_optimizer(nn.Linear(2, 2), recipe_of(), OptimizerConfig())
    set_learning_rates(optimizer, recipe_of(), step, final=0.01)
    bias, plain, weight = optimizer.param_groups
    assert weight["lr"] == pytest.approx(rate, rel=1e-9)
    assert plain["lr"] == weight["lr"]
    assert bias["lr"] == pytest.approx(bias_rate, rel=1e-9)
    assert all(group["momentum"] == pytest.approx(momentum) for group in (bias, plain, weight))


@pytest.mark.parametrize(
    ("step", "rate"),
    [(75_000, 0.0001 + 0.0099 * (1 + math.sqrt(0.5)) / 2), (150_000, 0.00505), (300_000, 0.0001), (400_000, 0.0001)],
)
def test_cosine_schedule(step: int, rate: float) -> None:
    recipe = recipe_of(cosine=True)
    optimizer = build_optimizer(nn.Linear(2, 2), recipe, OptimizerConfig())
    set_learning_rates(optimizer, recipe, step, final=0.01)
    assert optimizer.param_groups[2]["lr"] == pytest.approx(rate, rel=1e-9)


@pytest.mark.parametrize(("name", "kind"), [("SGD", torch.optim.SGD), ("Adam", torch.optim.Adam)])
def test_the_optimizer_is_selected_by_name(name: Literal["SGD", "Adam"], kind: type) -> None:
    optimizer = build_optimizer(nn.Linear(2, 2), recipe_of(name=name), OptimizerConfig())
    assert type(optimizer) is kind
    if name == "SGD":
        assert all(group["nesterov"] for group in optimizer.param_groups)


def test_adam_uses_momentum_as_first_beta() -> None:
    recipe = recipe_of(name="AdamW")
    optimizer = build_optimizer(nn.Linear(2, 2), recipe, OptimizerConfig())
    assert type(optimizer) is torch.optim.AdamW
    set_learning_rates(optimizer, recipe, 0, final=0.01)
    start = recipe.warmup_momentum + (recipe.momentum - recipe.warmup_momentum) / recipe.warmup_steps
    assert optimizer.param_groups[0]["betas"] == (pytest.approx(start), 0.999)


def test_without_warm_up_the_first_step_has_the_full_rate() -> None:
    recipe = choose_recipe(OptimizerConfig(name="SGD", warmup_epochs=0), ScheduleConfig(), steps_per_epoch=1000)
    optimizer = build_optimizer(nn.Linear(2, 2), recipe, OptimizerConfig())
    set_learning_rates(optimizer, recipe, 0, final=0.01)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.01] * 3)
    assert optimizer.param_groups[0]["momentum"] == 0.937
