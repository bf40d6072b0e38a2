"""Shape propagation: run modules on torch's `meta` device, where tensors have shapes and no values.

Torch implements most operators of the meta device in Python, and the first of them to run imports sympy and
torch._dynamo, which takes as long as `import torch`. The operators of common networks are answered here instead, with
the same shapes, strides, and types. Every other operator, and every call that is not plainly valid, is passed on to
torch, which computes the result or raises its own error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from attendet.utils.shape_rules import RULES, SUMMED_AXES, UncertainError, tensors_among


class ShapePropagation(TorchDispatchMode):
    """A context in which modules on the meta device run without the slow imports of torch's own implementation.

    Args:
        count_flops: Also count floating-point operations, as `torch.utils.flop_counter` does.

    Attributes:
        flops: Floating-point operations of convolutions and matrix products so far, a multiply-add counted as two.

    Example:
        >>> import torch
        >>> with torch.device("meta"), ShapePropagation(count_flops=True) as propagation:
        ...     features = torch.nn.Conv2d(8, 16, 1)(torch.empty(1, 8, 10, 10))
        >>> features.shape, propagation.flops
        (torch.Size([1, 16, 10, 10]), 25600)
    """

    def __init__(self, *, count_flops: bool = False) -> None:
        super().__init__()
        self.flops = 0
        self._count_flops = count_flops

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # If this is true, torch imports torch._dynamo to exclude the mode from compilation. Nothing is compiled here.
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the result of an operator."""
        del types
        name, kwargs = func.name(), kwargs or {}
        result = _infer(name, args, kwargs)
        if result is not None:
            self.flops += _product_flops(name, args, result)
            return result
        if self._count_flops and _may_multiply(name):
            return self._pass_on_and_count(func, args, kwargs)
        return func(*args, **kwargs)

    def _pass_on_and_count(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        from torch.utils.flop_counter import FlopCounterMode  # noqa: PLC0415 (imports triton)

        with FlopCounterMode(display=False) as counter:
            result = func(*args, **kwargs)
        self.flops += counter.get_total_flops()
        return result


def _infer(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor | tuple[Tensor, ...] | None:
    """Return the result of an operator; None if torch has to compute it."""
    if name not in RULES or not all(tensor.is_meta for tensor in tensors_among(args)):
        return None
    try:
        return RULES[name](*args, **kwargs)
    except (UncertainError, TypeError):
        # TypeError: an argument that the rule does not know.
        return None


def _product_flops(name: str, args: Sequence[Any], result: Any) -> int:
    """Return the floating-point operations of a convolution or matrix product, 0 for other operators."""
    if name not in SUMMED_AXES:
        return 0
    argument, axis = SUMMED_AXES[name]
    return 2 * result.numel() * prod(args[argument].shape[axis:])


def _may_multiply(name: str) -> bool:
    """Return whether `FlopCounterMode` may have a formula for an operator."""
    return not name.startswith("aten::") or any(part in name for part in ("mm", "conv", "attention"))
