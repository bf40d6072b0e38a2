"""Rules for the results of common operators on the meta device: shapes, strides, and types.

Each rule takes the arguments of one aten operator and returns its result. A rule leaves a call to torch if the call may
be invalid or its result may have an unusual layout.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

Rule: TypeAlias = Callable[..., "Tensor | tuple[Tensor, ...]"]


class UncertainError(Exception):
    """A call that a rule leaves to torch."""


def _require(condition: bool) -> None:
    if not condition:
        raise UncertainError


def tensors_among(args: Sequence[Any]) -> list[Tensor]:
    """Return the tensors among arguments and lists of arguments."""
    values = [value for arg in args for value in (arg if isinstance(arg, list | tuple) else (arg,))]
    return [value for value in values if isinstance(value, Tensor)]


def _require_float(*tensors: Tensor) -> None:
    """Require floating-point tensors of one type."""
    _require(tensors[0].is_floating_point() and len({tensor.dtype for tensor in tensors}) == 1)


def _require_plain(*tensors: Tensor) -> None:
    """Require floating-point tensors of one type whose axes are in the order of a contiguous tensor."""
    _require_float(*tensors)
    for tensor in tensors:
        strides = [stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True) if size != 1]
        _require(tensor.is_contiguous() or sorted(strides, reverse=True) == strides)


def _empty(shape: Sequence[int], like: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    return torch.empty(tuple(shape), dtype=dtype or like.dtype, device=like.device)


def _broadcast(tensors: Sequence[Tensor]) -> tuple[int, ...]:
    axes = max(tensor.ndim for tensor in tensors)
    shape = []
    for sizes in zip(*((1,) * (axes - tensor.ndim) + tuple(tensor.shape) for tensor in tensors), strict=True):
        long = set(sizes) - {1}
        _require(len(long) < 2)
        shape.append(long.pop() if long else 1)
    return tuple(shape)


def _arithmetic(*operands: Any, alpha: float = 1) -> Tensor:
    """Return the result of an operator whose operands and result have one type."""
    del alpha
    tensors = tensors_among(operands)
    _require(len({tensor.dtype for tensor in tensors}) == 1 and tensors[0].dtype != torch.bool)
    shape = _broadcast(tensors)
    if all(tensor.is_contiguous() for tensor in tensors):
        return _empty(shape, tensors[0])
    strides, filled = [0] * len(shape), 1
    for axis in _axes_from_the_fastest(tensors, shape):
        strides[axis], filled = filled, filled * shape[axis]
    return torch.empty_strided(shape, strides, dtype=tensors[0].dtype, device=tensors[0].device)


def _axes_from_the_fastest(tensors: Sequence[Tensor], shape: Sequence[int]) -> list[int]:
    """Return the axes of a result in the order of its memory, as torch's TensorIterator reorders them.

    Axes are compared by the strides of the first operand that has both; the last axis is the fastest by default.
    """
    strides = [tensor.expand(shape).stride() for tensor in tensors]
    order: list[int] = []
    for axis in reversed(range(len(shape))):
        position = len(order)
        for earlier in reversed(range(len(order))):
            known = ((given[order[earlier]], given[axis]) for given in strides)
            difference = next((a - b or shape[order[earlier]] - shape[axis] for a, b in known if a and b), 0)
            if difference < 0:
                break
            if difference > 0:
                position = earlier
        order.insert(position, axis)
    return order


def _pointwise(*operands: Any) -> Tensor:
    _require_float(*tensors_among(operands))
    return _arithmetic(*operands)


def _where(condition: Tensor, x: Tensor, other: Tensor) -> Tensor:
    _require(condition.dtype == torch.bool and condition.ndim == 0)
    return _pointwise(x, other)


def _in_place(x: Tensor, *operands: Any, alpha: float = 1) -> Tensor:
    del alpha
    tensors = [x, *tensors_among(operands)]
    _require(len({tensor.dtype for tensor in tensors}) == 1 and _broadcast(tensors) == tuple(x.shape))
    return x


def _reduction(x: Tensor, dim: int | Sequence[int] | None = None, keepdim: bool = False) -> Tensor:
    axes = [dim] if isinstance(dim, int) else list(dim or range(x.ndim))
    _require(x.is_floating_point() and x.ndim > 0 and x.numel() > 0 and all(-x.ndim <= axis < x.ndim for axis in axes))
    reduced = {axis % x.ndim for axis in axes}
    _require(len(reduced) == len(axes))
    return _empty([1 if i in reduced else size for i, size in enumerate(x.shape) if keepdim or i not in reduced], x)


def _var_mean(
    x: Tensor, dim: Sequence[int] | None = None, *, correction: float | None = None, keepdim: bool = False
) -> tuple[Tensor, Tensor]:
    del correction
    return _reduction(x, dim, keepdim), _reduction(x, dim, keepdim)


def _softmax(x: Tensor, dim: int, half_to_float: bool) -> Tensor:
    _require_plain(x)
    _require(-x.ndim <= dim < x.ndim and not half_to_float)
    return _empty(x.shape, x)


def _index(x: Tensor, indices: Sequence[Tensor | None]) -> Tensor:
    """Return rows of a tensor; other ways to index are left to torch."""
    _require_plain(x)
    rows = indices[0]
    _require(len(indices) == 1 and rows is not None and rows.dtype == torch.int64 and rows.ndim == 1)
    return _empty((*rows.shape, *x.shape[1:]), x)  # pyright: ignore[reportOptionalMemberAccess]


def _random_integers(
    low: int, high: int, size: Sequence[int], *, device: torch.device | None = None, pin_memory: bool | None = None
) -> Tensor:
    del pin_memory
    _require(low < high and device is not None and device.type == "meta")
    return torch.empty(tuple(size), dtype=torch.int64, device=device)


def _cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    first = tensors[0]
    _require_plain(*tensors)
    _require(-first.ndim <= dim < first.ndim)
    axis = dim % first.ndim
    others = {(tensor.ndim, tensor.shape[:axis], tensor.shape[axis + 1 :]) for tensor in tensors}
    _require(len(others) == 1)
    return _empty((*first.shape[:axis], sum(tensor.shape[axis] for tensor in tensors), *first.shape[axis + 1 :]), first)


def _stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    first = tensors[0]
    _require_plain(*tensors)
    _require(-first.ndim - 1 <= dim <= first.ndim and len({tensor.shape for tensor in tensors}) == 1)
    axis = dim % (first.ndim + 1)
    return _empty((*first.shape[:axis], len(tensors), *first.shape[axis:]), first)


def _sides(
    sides: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> list[int]:
    """Return the sides of the map that a sliding window gives."""
    _require(all(len(values) == len(sides) for values in (kernel, stride, padding, dilation)))
    _require(min(*stride, *dilation) > 0 and min(padding) >= 0)
    given = [
        (side + 2 * pad - spread * (size - 1) - 1) // step + 1
        for side, size, step, pad, spread in zip(sides, kernel, stride, padding, dilation, strict=True)
    ]
    _require(min(given) > 0)
    return given


def _convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> Tensor:
    del output_padding
    _require_plain(x, weight, *tensors_among((bias,)))
    _require(not transposed and x.ndim == weight.ndim > 2 and x.numel() > 0)
    _require(groups > 0 and x.shape[1] == weight.shape[1] * groups and weight.shape[0] % groups == 0)
    _require(bias is None or bias.shape == weight.shape[:1])
    return _empty((x.shape[0], weight.shape[0], *_sides(x.shape[2:], weight.shape[2:], stride, padding, dilation)), x)


def _batch_norm(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor | None,
    variance: Tensor | None,
    training: bool,
    momentum: float,
    epsilon: float,
) -> tuple[Tensor, Tensor, Tensor]:
    del momentum, epsilon
    vectors = tensors_among((weight, bias, mean, variance))
    _require_plain(x, *vectors)
    _require(x.ndim > 1 and (training or (mean is not None and variance is not None)))
    _require(all(vector.shape == x.shape[1:2] for vector in vectors))
    return _empty(x.shape, x), _empty(x.shape[1:2], x), _empty(x.shape[1:2], x)


def _layer_norm(
    x: Tensor, normalized_shape: Sequence[int], weight: Tensor | None, bias: Tensor | None, epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    del epsilon
    axes, parameters = len(normalized_shape), tensors_among((weight, bias))
    _require_plain(x, *parameters)
    _require(0 < axes <= x.ndim and list(x.shape[-axes:]) == list(normalized_shape))
    _require(all(parameter.shape == x.shape[-axes:] for parameter in parameters))
    statistics = (*x.shape[:-axes], *(1,) * axes)
    return _empty(x.shape, x), _empty(statistics, x), _empty(statistics, x)


def _max_pool(
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    ceil_mode: bool = False,
) -> tuple[Tensor, Tensor]:
    _require_plain(x)
    _require(not ceil_mode and x.ndim == 4)
    window = [[*values] * (2 if len(values) == 1 else 1) for values in (kernel, stride or kernel, padding, dilation)]
    _require(all(2 * pad <= size for size, pad in zip(window[0], window[2], strict=True)))
    shape = (*x.shape[:2], *_sides(x.shape[2:], *window))
    return _empty(shape, x), _empty(shape, x, torch.int64)


def _upsample(x: Tensor, output_size: Sequence[int], *_: Any) -> Tensor:
    _require_plain(x)
    _require(x.ndim == 4 and len(output_size) == 2 and min(output_size) > 0 and x.numel() > 0)
    return _empty((*x.shape[:2], *output_size), x)


def _matrix_product(a: Tensor, b: Tensor) -> Tensor:
    _require_float(a, b)
    _require(a.ndim == b.ndim and a.shape[:-2] == b.shape[:-2] and a.shape[-1] == b.shape[-2])
    return _empty((*a.shape[:-1], b.shape[-1]), a)


def _add_matrix_product(bias: Tensor, a: Tensor, b: Tensor) -> Tensor:
    result = _matrix_product(a, b)
    _require_float(bias, result)
    _require(_broadcast([bias, result]) == tuple(result.shape))
    return result


RULES: Mapping[str, Rule] = {
    f"aten::{operator}": rule
    for operators, rule in (
        ("silu relu sigmoid hardswish abs rsqrt clamp pow.Tensor_Scalar div.Tensor lerp.Tensor", _pointwise),
        ("add.Tensor sub.Tensor mul.Tensor remainder.Scalar", _arithmetic),
        ("where.self", _where),
        ("add_.Tensor mul_.Tensor lerp_.Scalar relu_ silu_", _in_place),
        ("mean.dim sum sum.dim_IntList amax", _reduction),
        ("var_mean.correction", _var_mean),
        ("_softmax", _softmax),
        ("index.Tensor", _index),
        ("randint.low", _random_integers),
        ("cat", _cat),
        ("stack", _stack),
        ("convolution", _convolution),
        ("native_batch_norm _native_batch_norm_legit", _batch_norm),
        ("native_layer_norm", _layer_norm),
        ("max_pool2d_with_indices", _max_pool),
        ("upsample_nearest2d", _upsample),
        ("mm bmm", _matrix_product),
        ("addmm", _add_matrix_product),
    )
    for operator in operators.split()
}
# Which argument of a product has the axes that are summed over, and where they start.
SUMMED_AXES: Mapping[str, tuple[int, int]] = {
    "aten::convolution": (1, 1),
    "aten::mm": (0, -1),
    "aten::bmm": (0, -1),
    "aten::addmm": (1, -1),
}
