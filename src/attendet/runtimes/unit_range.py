"""Images as numbers in 0-1."""

from __future__ import annotations

import torch
from torch import Tensor


def in_unit_range(images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return images as floating-point numbers in 0-1.

    Args:
        images: uint8 in 0-255, or floating-point in 0-1.
        dtype: Type of the result.

    Example:
        >>> in_unit_range(torch.tensor([0, 255], dtype=torch.uint8)), in_unit_range(torch.tensor([0.5]))
        (tensor([0., 1.]), tensor([0.5000]))
    """
    return images.to(dtype) if images.is_floating_point() else images.to(dtype).div_(255)
