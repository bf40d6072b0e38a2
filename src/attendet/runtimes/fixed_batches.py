"""Images for files that take a fixed number of images at a time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from attendet.errors import OptionError
from attendet.runtimes.file_description import InputShape


def run_in_batches(
    run: Callable[[Tensor], tuple[Tensor, ...]], images: Tensor, shape: InputShape
) -> tuple[Tensor, ...]:
    """Run a network that may take a fixed number of images, and join its outputs.

    Args:
        run: Maps images (n, 3, H, W) to outputs (n, …).
        images: (N, 3, H, W).
        shape: The shapes that the network takes. The last images are completed with empty ones.

    Returns:
        The outputs (N, …).

    Raises:
        OptionError: If the network does not take images of this height and width.

    Example:
        >>> def mean(images):
        ...     print(tuple(images.shape))
        ...     return (images.mean(dim=(1, 2, 3)),)
        >>> run_in_batches(mean, torch.ones(3, 3, 4, 4), InputShape(batch=2))
        (2, 3, 4, 4)
        (2, 3, 4, 4)
        (tensor([1., 1., 1.]),)
    """
    for name, expected, actual in zip(
        ("height", "width"), (shape.height, shape.width), images.shape[2:4], strict=False
    ):
        if expected is not None and expected != actual:
            raise OptionError(f"the {name} of images must be {expected} pixels for this file, got {actual}")
    if shape.batch is None or shape.batch == len(images):
        return run(images)
    parts = []
    for start in range(0, len(images), shape.batch):
        part = images[start : start + shape.batch]
        missing = shape.batch - len(part)
        padded = torch.cat([part, part.new_zeros((missing, *part.shape[1:]))]) if missing else part
        parts.append(tuple(output[: len(part)] for output in run(padded)))
    return tuple(torch.cat(outputs) for outputs in zip(*parts, strict=True))
