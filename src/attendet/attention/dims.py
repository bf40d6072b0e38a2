"""One, two or three axes of positions: sequences, images, volumes; and sequences that are padded to one length.

A mask says which positions are real: bool, (N, *positions), True where real. Padded positions never change a gate:
pools leave them out, convolutions see zeros there as they do beyond the edge, and batch norms count the real ones only.
Whatever stands there, infinities and NaN included, no gradient comes from it, and a module returns zero there.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from attendet.errors import OptionError

Dims = Literal[1, 2, 3]

CONVOLUTIONS: dict[int, type[nn.Conv1d | nn.Conv2d | nn.Conv3d]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
NORMS: dict[int, type[nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d]] = {
    1: nn.BatchNorm1d,
    2: nn.BatchNorm2d,
    3: nn.BatchNorm3d,
}
SHAPES = {1: "(N, C, L)", 2: "(N, C, H, W)", 3: "(N, C, D, H, W)"}


def check_dims(dims: Dims) -> Dims:
    """Return the number of axes of positions if it is one, two or three.

    Raises:
        OptionError: If it is not.
    """
    if type(dims) is not int or dims not in CONVOLUTIONS:
        raise OptionError(f"there are no modules of {dims!r} dims", remedy="give 1, 2 or 3")
    return dims


def check_features(x: Tensor, dims: Dims, mask: Tensor | None = None) -> None:
    """Check what a module is called with.

    Args:
        x: Features.
        dims: How many axes of positions they should have.
        mask: Which positions are real, if any are padded.

    Raises:
        OptionError: If the features have other axes, or the mask is not bool or has another shape.
    """
    if x.ndim != dims + 2:
        raise OptionError(
            f"features of {x.ndim} axes are not {SHAPES[dims]}",
            remedy=f"give dims={x.ndim - 2}" if x.ndim - 2 in SHAPES else "give 3 to 5 axes",
        )
    if mask is not None:
        _check_mask(x, mask)


def _check_mask(x: Tensor, mask: Tensor) -> None:
    shape = (x.shape[0], *x.shape[2:])
    if mask.dtype is not torch.bool or mask.shape != shape:
        raise OptionError(
            f"a mask of {mask.dtype} and {tuple(mask.shape)} does not fit features of {tuple(x.shape)}",
            remedy=f"give torch.bool and {shape}, True where a position is real",
        )


def zero_padding(x: Tensor, mask: Tensor | None) -> Tensor:
    """Return the features with zeros at padded positions.

    Raises:
        OptionError: If the mask is not bool or has another shape.

    Example:
        >>> zero_padding(torch.tensor([[[3.0, 4.0]]]), torch.tensor([[True, False]]))
        tensor([[[3., 0.]]])
    """
    if mask is None:
        return x
    _check_mask(x, mask)
    return x.masked_fill(~mask.unsqueeze(1), 0)


def normalize(norm: nn.Module, x: Tensor, mask: Tensor | None) -> Tensor:
    """Apply a batch norm to the real positions; padded ones become zero.

    Args:
        norm: A batch norm, or the identity.
        x: Features (N, C, *positions).
        mask: Which positions are real; None for all.

    Returns:
        Features of the same shape.
    """
    if mask is None:
        return norm(x)
    if isinstance(norm, nn.Identity) or not norm.training:
        return zero_padding(norm(x), mask)
    # To the norm every real position is an image of its own, of one position.
    real = x.movedim(1, -1)[mask]
    normed = norm(real.reshape(*real.shape, *[1] * (x.ndim - 2))).flatten(1)
    spread = normed.new_zeros(x.movedim(1, -1).shape)
    spread[mask] = normed
    return spread.movedim(-1, 1)
