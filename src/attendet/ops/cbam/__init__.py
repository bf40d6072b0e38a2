"""CBAM as one function of tensors: plain torch as the truth, and fused operators beside it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import TypeVar

import torch
from torch import Tensor

from attendet.errors import AttendetError, AttendetWarning
from attendet.ops.cbam import compiler
from attendet.ops.cbam.operators import fused_cbam, implementation
from attendet.ops.cbam.reference import BatchStatistics, ChannelNet, SpatialNet, cbam

__all__ = [
    "BatchStatistics",
    "ChannelNet",
    "SpatialNet",
    "cbam",
    "device_obstacle",
    "fused_cbam",
    "obstacle",
    "warn_of_fallback",
]

F = TypeVar("F", bound=Callable[..., object])
DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def constant_when_compiled(function: F) -> F:
    """Mark a function whose result `torch.compile` may take for a constant, once it has called it.

    As `torch.compiler.assume_constant_result`, which imports the compiler, two seconds long, to do no more than this.
    """
    function._dynamo_marked_constant = True  # noqa: SLF001  # pyright: ignore[reportFunctionMemberAccess]
    return function


def obstacle(x: Tensor) -> str | None:
    """Return why the fused operators cannot compute these features, or None if they can.

    The first call for a CPU compiles the operators, which takes seconds, once for each machine and version.

    Example:
        >>> print(obstacle(torch.rand(1, 8, 4, 4, dtype=torch.float64)))
        they compute in float32, bfloat16 or float16, not float64
    """
    if type(x) not in (Tensor, torch.nn.Parameter):
        return f"they do not know tensors of type {type(x).__name__}"
    if x.dtype not in DTYPES:
        return f"they compute in float32, bfloat16 or float16, not {str(x.dtype).removeprefix('torch.')}"
    if x.numel() == 0:
        return "there are no features"
    return device_obstacle(x.device.type)


@constant_when_compiled
def device_obstacle(device: str) -> str | None:
    """Return why there are no fused operators for a type of device, or None if there are."""
    return _device_obstacle(device)


@cache
def _device_obstacle(device: str) -> str | None:
    try:
        if device == "cpu":
            compiler.load()
            return None
        if device == "cuda":
            implementation("gpu")
            return None
    except (AttendetError, ImportError) as error:
        return str(error)
    return f"there are none for {device}"


@constant_when_compiled
def warn_of_fallback(reason: str) -> None:
    """Warn, once, that plain torch computes what fused operators could."""
    _warn(reason)


@cache
def _warn(reason: str) -> None:
    warnings.warn(f"CBAM runs without its fused operators, which is slower: {reason}", AttendetWarning, stacklevel=2)
