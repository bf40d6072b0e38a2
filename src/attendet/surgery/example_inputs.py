"""Run a network once on an example input, chosen automatically if the user gives none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from attendet.errors import OptionError
from attendet.surgery.feature_maps import Trace
from attendet.surgery.tracing import trace

# Side of the example by number of spatial axes.
_SIDES = {1: 1024, 2: 256, 3: 64}


def trace_example(model: nn.Module, example: Any = None) -> tuple[Trace, tuple[Any, ...]]:
    """Run a network once, and return the trace and the arguments of the run.

    Args:
        model: Any module.
        example: Its argument, or a tuple of its arguments. By default one sample of noise in 0-1. It has the channels
            of the first convolution of the network, and the size in its `pretrained_cfg` (timm) or a common size. It is
            passed as a batch and, if the network fails on that, as a list of images (detectors of torchvision).

    Raises:
        OptionError: If the network fails on every example.
    """
    if example is None:
        candidates = _candidate_inputs(model)
    else:
        candidates = iter([example if isinstance(example, tuple) else (example,)])
    failures = []
    for arguments in candidates:
        try:
            return trace(model, arguments), arguments
        except Exception as error:  # noqa: BLE001 (a network may raise any error)
            first_line = str(error).splitlines()[0] if str(error) else ""
            failures.append(f"{_describe(arguments)}: {type(error).__name__}: {first_line}")
    reason = "; ".join(failures) or "it has no convolution, from which the size of its input could be inferred"
    raise OptionError(
        f"{type(model).__name__} cannot be run on an example ({reason})",
        remedy="pass `example`: the argument of the network, or a tuple of its arguments",
    )


def default_input(model: nn.Module) -> Tensor:
    """Return an input of a network that takes one tensor: noise in 0-1, with the channels of its first convolution.

    Raises:
        OptionError: If the network has no convolution.

    Example:
        >>> default_input(nn.Conv2d(3, 8, 3)).shape
        torch.Size([1, 3, 256, 256])
    """
    candidate = next(_candidate_inputs(model), None)
    if candidate is None:
        message = f"{type(model).__name__} has no convolution, from which the size of its input could be inferred"
        raise OptionError(message, remedy="pass `example`: an input of the network")
    return candidate[0]


def _candidate_inputs(model: nn.Module) -> Iterator[tuple[Any, ...]]:
    first = next((m for m in model.modules() if isinstance(m, nn.Conv1d | nn.Conv2d | nn.Conv3d)), None)
    if first is None:
        return
    dims = len(first.kernel_size)
    sides = [_SIDES[dims]] * dims
    config = getattr(model, "pretrained_cfg", None)
    input_size = config.get("input_size") if isinstance(config, dict) else None
    if isinstance(input_size, tuple) and len(input_size) == dims + 1:
        sides = list(input_size[1:])
    generator = torch.Generator().manual_seed(0)
    sample = torch.rand(1, first.in_channels, *sides, generator=generator).to(first.weight.device, first.weight.dtype)
    yield (sample,)
    if dims == 2:
        yield ([sample[0]],)


def _describe(arguments: tuple[Any, ...]) -> str:
    return ", ".join(
        f"a tensor {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
        for value in arguments
    )
