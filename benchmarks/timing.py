"""Pieces of work timed side by side, one after the other in every round, so that a drifting machine slows all alike."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

WARM_UP = 2


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Return how long a piece of work takes, until the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    started = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


def work_on(module: nn.Module, x: Tensor, upstream: Tensor, *, backward: bool) -> Callable[[], object]:
    """Return one forward pass, or one forward and backward pass, as a function to time."""
    if not backward:

        def forward() -> Tensor:
            with torch.no_grad():
                return module(x)

        return forward

    inputs = [x.detach().requires_grad_(), *module.parameters()]

    def forward_and_backward() -> tuple[Tensor, ...]:
        return torch.autograd.grad(module(inputs[0]), inputs, upstream)

    return forward_and_backward


def measure(works: Mapping[str, Callable[[], object]], rounds: int, device: torch.device) -> dict[str, list[float]]:
    """Return seconds per contender and round.

    In every round each runs once, in an order drawn anew. The first rounds warm up and are not counted.
    """
    order = random.Random(0)  # noqa: S311
    times: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(rounds + WARM_UP):
        for name in order.sample(list(works), len(works)):
            spent = seconds(works[name], device)
            if turn >= WARM_UP:
                times[name].append(spent)
    return times


def spread(values: list[float], unit: float = 1.0) -> str:
    """Return median and quartiles, as 1.23 (1.20 to 1.31)."""
    low, median, high = (value * unit for value in statistics.quantiles(values, n=4, method="inclusive"))
    return f"{median:.2f} ({low:.2f} to {high:.2f})"


def machine(device: torch.device, rounds: int, how: str = "float32, training mode") -> str:
    """Return what a table was measured on, and how."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    return f"{name}; torch {torch.__version__}; {how}; {rounds} rounds."
