"""Pooling of a feature map to one number per channel, or to one plane.

Means and maxima are plain reductions instead of adaptive pools: adaptive max pooling has no deterministic backward pass
on CUDA, and reductions export with any map size. If several positions share a maximum, its gradient is split evenly
among them (`torch.amax`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from attendet.errors import OptionError
from attendet.utils.text import short_repr

Pool = Literal["avg", "max", "lp", "lse"]
POOLS: tuple[Pool, ...] = get_args(Pool)


def pool_positions(x: Tensor, kind: Pool, mask: Tensor | None = None) -> Tensor:
    """Pool every channel over all positions.

    Args:
        x: Features (N, C, *positions).
        kind: `avg` for the mean, `max` for the maximum, `lp` for the Euclidean norm, `lse` for the logarithm of the sum
            of exponentials.
        mask: Bool mask (N, *positions), False at positions to skip; None to use all positions. If an image has no
            position left, its result is 0.

    Returns:
        The pooled values (N, C).

    Example:
        >>> x = torch.tensor([[[[3.0, 4.0]]]])
        >>> [round(pool_positions(x, kind).item(), 4) for kind in POOLS]
        [3.5, 4.0, 5.0, 4.3133]
    """
    axes = tuple(range(2, x.ndim))
    if mask is None:
        return _pool(x, kind, axes)
    padding = ~mask.unsqueeze(1)
    if kind in ("max", "lse"):
        is_empty = ~mask.flatten(1).any(1).reshape(-1, *[1] * (x.ndim - 1))
        pooled = _pool(x.masked_fill(padding, -math.inf).masked_fill(is_empty, 0), kind, axes)
        return pooled.masked_fill(is_empty.flatten(1), 0)
    pooled = _pool(x.masked_fill(padding, 0), kind, axes)
    if kind == "avg":
        # The mean over all positions, divided by the fraction of real positions, is the mean over real positions.
        fraction = mask.flatten(1).to(torch.promote_types(x.dtype, torch.float32)).mean(1, keepdim=True)
        return (pooled / fraction.clamp(min=torch.finfo(torch.float32).tiny)).to(x.dtype)
    return pooled


def pool_channels(x: Tensor, kind: Pool) -> Tensor:
    """Pool every position over all channels.

    Args:
        x: Features (N, C, *positions).
        kind: The pool, see `pool_positions`.

    Returns:
        The pooled plane (N, 1, *positions).

    Example:
        >>> x = torch.tensor([[[[3.0]], [[4.0]]]])
        >>> pool_channels(x, "max")
        tensor([[[[4.]]]])
    """
    return _pool(x, kind, (1,)).unsqueeze(1)


def parse_pools(names: str | Sequence[str]) -> tuple[Pool, ...]:
    """Return the pools for a name, for `both` (average and maximum), or for a sequence of names.

    Raises:
        OptionError: If a name is not a pool, or the sequence is empty.

    Example:
        >>> parse_pools("both"), parse_pools("lse"), parse_pools(["max", "avg"])
        (('avg', 'max'), ('lse',), ('max', 'avg'))
    """
    if names == "both":
        return ("avg", "max")
    chosen = (names,) if isinstance(names, str) else tuple(names)
    known: dict[str, Pool] = {pool: pool for pool in POOLS}
    if not chosen or any(name not in known for name in chosen):
        raise OptionError(f"pools must be 'both', or one or more of {', '.join(POOLS)}, got {short_repr(names)}")
    return tuple(known[name] for name in chosen)


def _pool(x: Tensor, kind: Pool, dims: tuple[int, ...]) -> Tensor:
    match kind:
        case "avg":
            return x.mean(dims)
        case "max":
            return x.amax(dims)
        case "lp":
            # The gradient of `vector_norm` at zero is zero; a square root of a sum of squares would give NaN.
            return torch.linalg.vector_norm(x, ord=2, dim=dims)
        case "lse":
            return torch.logsumexp(x, dims)
