"""Interleaved timing: every round runs all contenders, so that changes in the machine's speed affect all of them."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

WARM_UP = 2


def seconds(function: Callable[[], object], device: torch.device) -> float:
    """Return the seconds that a function takes, including the work of the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    started = time.perf_counter()
    function()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


def timed_pass(module: nn.Module, x: Tensor, upstream: Tensor, *, backward: bool) -> Callable[[], object]:
    """Return a function that runs a forward pass, or a forward and a backward pass."""
    if not backward:

        def forward() -> Tensor:
            with torch.no_grad():
                return module(x)

        return forward

    inputs = [x.detach().requires_grad_(), *module.parameters()]

    def forward_and_backward() -> tuple[Tensor, ...]:
        return torch.autograd.grad(module(inputs[0]), inputs, upstream)

    return forward_and_backward


def measure(
    contenders: Mapping[str, Callable[[], object]], rounds: int, device: torch.device
) -> dict[str, list[float]]:
    """Return the seconds of every contender for every round.

    In every round each contender runs once, in random order. The first rounds warm up and are not counted.
    """
    order = random.Random(0)  # noqa: S311
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + WARM_UP):
        for name in order.sample(list(contenders), len(contenders)):
            duration = seconds(contenders[name], device)
            if number >= WARM_UP:
                times[name].append(duration)
    return times


def median_and_quartiles(values: list[float], unit: float = 1.0) -> str:
    """Return the median and quartiles as text, such as 1.23 (1.20 to 1.31)."""
    low, median, high = (value * unit for value in statistics.quantiles(values, n=4, method="inclusive"))
    return f"{median:.2f} ({low:.2f} to {high:.2f})"


def setup(device: torch.device, rounds: int, settings: str = "float32, training mode") -> str:
    """Return a sentence about the device, the versions, and the settings of a measurement."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    return f"{name}; torch {torch.__version__}; {settings}; {rounds} rounds."
