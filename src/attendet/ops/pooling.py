"""Pooling a feature map to one number per channel, or to one plane.

Means and maxima are plain reductions, not adaptive pooling: adaptive max pooling has no deterministic backward on
CUDA, and a reduction exports with any size. Where several positions share a maximum, its gradient is split evenly
among them (`torch.amax`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from attendet.errors import OptionError

Pool = Literal["avg", "max", "lp", "lse"]
POOLS: tuple[Pool, ...] = get_args(Pool)


def pool_positions(x: Tensor, kind: Pool, mask: Tensor | None = None) -> Tensor:
    """Pool every channel over all its positions.

    Args:
        x: Features (N, C, *positions).
        kind: `avg` mean; `max` maximum; `lp` Euclidean norm; `lse` log of the sum of exponentials.
        mask: (N, *positions), False at positions to leave out; None for all. Over no position at all, pools are 0.

    Returns:
        (N, C).

    Example:
        >>> x = torch.tensor([[[[3.0, 4.0]]]])
        >>> [round(pool_positions(x, kind).item(), 4) for kind in POOLS]
        [3.5, 4.0, 5.0, 4.3133]
    """
    axes = tuple(range(2, x.ndim))
    if mask is None:
        return _pool(x, kind, axes)
    left_out = ~mask.unsqueeze(1)
    if kind in ("max", "lse"):
        nothing = ~mask.flatten(1).any(1).reshape(-1, *[1] * (x.ndim - 1))
        pooled = _pool(x.masked_fill(left_out, -math.inf).masked_fill(nothing, 0), kind, axes)
        return pooled.masked_fill(nothing.flatten(1), 0)
    pooled = _pool(x.masked_fill(left_out, 0), kind, axes)
    if kind == "avg":
        # The mean is over all positions; divided by the share of those that count, it is theirs.
        share = mask.flatten(1).to(torch.promote_types(x.dtype, torch.float32)).mean(1, keepdim=True)
        return (pooled / share.clamp(min=torch.finfo(torch.float32).tiny)).to(x.dtype)
    return pooled


def pool_channels(x: Tensor, kind: Pool) -> Tensor:
    """Pool every position over all channels.

    Args:
        x: Features (N, C, *positions).
        kind: As in `pool_positions`.

    Returns:
        (N, 1, *positions).

    Example:
        >>> x = torch.tensor([[[[3.0]], [[4.0]]]])
        >>> pool_channels(x, "max")
        tensor([[[[4.]]]])
    """
    return _pool(x, kind, (1,)).unsqueeze(1)


def pool_kinds(names: str | Sequence[str]) -> tuple[Pool, ...]:
    """Return the pools meant by a name, by `both` (average and maximum) or by a sequence of names.

    Raises:
        OptionError: If a name is no pool, or there is none.

    Example:
        >>> pool_kinds("both"), pool_kinds("lse"), pool_kinds(["max", "avg"])
        (('avg', 'max'), ('lse',), ('max', 'avg'))
    """
    if names == "both":
        return ("avg", "max")
    chosen = (names,) if isinstance(names, str) else tuple(names)
    known: dict[str, Pool] = {pool: pool for pool in POOLS}
    if not chosen or any(name not in known for name in chosen):
        raise OptionError(f"{names!r} names no pooling", remedy=f"give both, or one or more of {', '.join(POOLS)}")
    return tuple(known[name] for name in chosen)


def _pool(x: Tensor, kind: Pool, dims: tuple[int, ...]) -> Tensor:
    match kind:
        case "avg":
            return x.mean(dims)
        case "max":
            return x.amax(dims)
        case "lp":
            # The norm's gradient at zero is zero, where a root of a sum of squares would give NaN.
            return torch.linalg.vector_norm(x, ord=2, dim=dims)
        case "lse":
            return torch.logsumexp(x, dims)
