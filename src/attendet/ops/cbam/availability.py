"""Checks of whether the fused operators can compute given features on this machine."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import TypeVar

import torch
from torch import Tensor

from attendet.errors import AttendetError, AttendetWarning
from attendet.ops.cbam import compiler
from attendet.ops.cbam.operators import import_backend

F = TypeVar("F", bound=Callable[..., object])
_DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def constant_when_compiled(function: F) -> F:
    """Mark a function whose result `torch.compile` may treat as a constant.

    It has the effect of `torch.compiler.assume_constant_result`, which would import torch's compiler (two seconds).
    """
    function._dynamo_marked_constant = True  # noqa: SLF001  # pyright: ignore[reportFunctionMemberAccess]
    return function


def unsupported_reason(x: Tensor) -> str | None:
    """Return why the fused operators cannot compute these features, or None if they can.

    The first call for features on a CPU compiles the operators, which takes seconds, once per machine and version.

    Example:
        >>> print(unsupported_reason(torch.rand(1, 8, 4, 4, dtype=torch.float64)))
        features must be float32, bfloat16, or float16, got float64
    """
    if type(x) not in (Tensor, torch.nn.Parameter):
        return f"tensors of type {type(x).__name__} are not supported"
    if x.dtype not in _DTYPES:
        return f"features must be float32, bfloat16, or float16, got {str(x.dtype).removeprefix('torch.')}"
    if x.numel() == 0:
        return "the features are empty"
    return unsupported_device_reason(x.device.type)


@constant_when_compiled
def unsupported_device_reason(device: str) -> str | None:
    """Return why the fused operators cannot run on a type of device (`cpu`, `cuda`), or None if they can."""
    return _device_reason(device)


@cache
def _device_reason(device: str) -> str | None:
    try:
        if device == "cpu":
            compiler.load()
            return None
        if device == "cuda":
            import_backend("gpu")
            return None
    except (AttendetError, ImportError) as error:
        return str(error)
    return f"devices of type {device!r} are not supported"


@constant_when_compiled
def warn_of_fallback(reason: str) -> None:
    """Warn, once per reason, that CBAM runs in plain torch instead of the fused operators."""
    _warn(reason)


@cache
def _warn(reason: str) -> None:
    warnings.warn(f"CBAM runs without its fused operators, which is slower: {reason}", AttendetWarning, stacklevel=2)
