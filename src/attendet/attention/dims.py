"""Sequences, images, and volumes (one, two, or three position axes), and masks for padded positions.

A mask is a bool tensor (N, *positions), True at real positions and False at padding. Padding never changes a weight:
pooling skips it, convolutions see zeros there as they do outside of the map, and batch norms only count real positions.
Padding may hold any value, including infinity and NaN. It receives no gradient, and the output is zero there.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from attendet.attention.fx_tracing import recorded
from attendet.errors import OptionError
from attendet.utils.option_values import as_integer
from attendet.utils.text import short_repr

Dims = Literal[1, 2, 3]

CONVOLUTIONS: dict[int, type[nn.Conv1d | nn.Conv2d | nn.Conv3d]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
NORMS: dict[int, type[nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d]] = {
    1: nn.BatchNorm1d,
    2: nn.BatchNorm2d,
    3: nn.BatchNorm3d,
}
_SHAPES: dict[Dims, str] = {1: "(N, C, L)", 2: "(N, C, H, W)", 3: "(N, C, D, H, W)"}


def check_dims(dims: Dims) -> Dims:
    """Return the number of position axes if it is 1, 2, or 3.

    Raises:
        OptionError: If it is not.
    """
    count = as_integer(dims)
    for known in _SHAPES:
        if count == known:
            return known
    raise OptionError(f"`dims` must be 1, 2, or 3, got {short_repr(dims)}")


@recorded
def check_features(x: Tensor, dims: Dims, mask: Tensor | None = None) -> None:
    """Check the features and the mask that a module is called with.

    Args:
        x: Features (N, C, *positions).
        dims: Expected number of position axes.
        mask: Mask (N, *positions) of the real positions; None if all are real.

    Raises:
        OptionError: If the features have another number of axes, or the mask has another dtype or shape.
    """
    if x.ndim != dims + 2:
        remedy = f"use dims={x.ndim - 2}" if x.ndim - 2 in _SHAPES else None
        raise OptionError(f"features must have the shape {_SHAPES[dims]}, got {x.ndim} axes", remedy=remedy)
    if mask is not None:
        _check_mask(x, mask)


def _check_mask(x: Tensor, mask: Tensor) -> None:
    shape = (x.shape[0], *x.shape[2:])
    if mask.dtype is not torch.bool or mask.shape != shape:
        raise OptionError(
            f"`mask` must be torch.bool of shape {shape}, got {mask.dtype} of shape {tuple(mask.shape)}",
            remedy="pass True at real positions and False at padding",
        )


@recorded
def zero_padding(x: Tensor, mask: Tensor | None) -> Tensor:
    """Return the features (N, C, *positions) with zeros at padded positions.

    Raises:
        OptionError: If the mask has another dtype than bool, or another shape than (N, *positions).

    Example:
        >>> zero_padding(torch.tensor([[[3.0, 4.0]]]), torch.tensor([[True, False]]))
        tensor([[[3., 0.]]])
    """
    if mask is None:
        return x
    _check_mask(x, mask)
    return x.masked_fill(~mask.unsqueeze(1), 0)
