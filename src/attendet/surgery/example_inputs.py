"""What to give a network for one pass, where its user says nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from attendet.errors import OptionError
from attendet.surgery.tracing import Trace, trace

SIDES = {1: 1024, 2: 256, 3: 64}


def probe(model: nn.Module, example: Any = None) -> tuple[Trace, tuple[Any, ...]]:
    """Run a network once and return what happened, with the arguments it was given.

    Args:
        model: Any module.
        example: Its argument, or a tuple of its arguments. By default one sample of noise in 0-1, with the channels of
            the network's first convolution and the size in its `pretrained_cfg` (timm) or one of ours; as a batch, and
            where the network does not take that, as a list of images, as torchvision's detectors want them.

    Raises:
        OptionError: If the network cannot be run with it.
    """
    refusals = []
    for arguments in [example if isinstance(example, tuple) else (example,)] if example is not None else guesses(model):
        try:
            return trace(model, arguments), arguments
        except Exception as error:  # noqa: BLE001 (a network may raise whatever it likes)
            refusals.append(
                f"{_told(arguments)}: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            )
    tried = "; ".join(refusals) or "it has no convolution that would say what it takes"
    raise OptionError(
        f"{type(model).__name__} cannot be run ({tried})", remedy="give example=, its arguments as a tuple"
    )


def guesses(model: nn.Module) -> Iterator[tuple[Any, ...]]:
    """Yield arguments that a network might take."""
    first = next((m for m in model.modules() if isinstance(m, nn.Conv1d | nn.Conv2d | nn.Conv3d)), None)
    if first is None:
        return
    dims = len(first.kernel_size)
    sides = [SIDES[dims]] * dims
    config = getattr(model, "pretrained_cfg", None)
    wanted = config.get("input_size") if isinstance(config, dict) else None
    if isinstance(wanted, tuple) and len(wanted) == dims + 1:
        sides = list(wanted[1:])
    generator = torch.Generator().manual_seed(0)
    sample = torch.rand(1, first.in_channels, *sides, generator=generator).to(first.weight.device, first.weight.dtype)
    yield (sample,)
    if dims == 2:
        yield ([sample[0]],)


def _told(arguments: tuple[Any, ...]) -> str:
    return ", ".join(
        f"a tensor {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
        for value in arguments
    )
