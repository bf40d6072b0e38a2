"""Programs of torch.export, from which the files of most formats are written."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.utils._sympy.value_ranges import ValueRanges

from attendet.errors import OptionError
from attendet.runtimes.exported_file import first_line

# torch.export takes a size of 1 for a constant, so examples have at least 2 images.
_EXAMPLES = 2


def export_program(graph: nn.Module, images: Tensor, *, dynamic: bool) -> ExportedProgram:
    """Return the program of a network.

    Notes about the source files, which torch stores with each operation, are removed: they contain paths of this
    machine.

    Args:
        graph: Maps images to a tuple of tensors; in evaluation mode.
        images: An example (N, C, …); the program has this shape if it is not dynamic.
        dynamic: Whether the program takes any number of images and any size.

    Raises:
        OptionError: If torch.export cannot record the network.
    """
    example = _distinct_sizes(images) if dynamic else images
    axes = {axis: Dim.DYNAMIC for axis in range(images.ndim) if axis != 1} if dynamic else None
    try:
        with torch.no_grad():
            program = torch.export.export(graph, (example,), dynamic_shapes=(axes,))
    except Exception as error:  # torch.export raises errors of many classes
        remedy = "export it with `static`, for one size" if dynamic else None
        message = f"torch.export cannot record the network: {type(error).__name__}: {first_line(error)}"
        raise OptionError(message, remedy=remedy) from error
    _remove_source_notes(program)
    _allow_small_sizes(program)
    return program


def _distinct_sizes(images: Tensor) -> Tensor:
    """Return an example whose sizes all differ, because torch.export takes equal sizes for the same size."""
    sizes = [side + _step(images.shape[2:]) * number for number, side in enumerate(images.shape[2:])]
    shape = (max(_EXAMPLES, len(images)), images.shape[1], *sizes)
    return images.new_zeros(shape)


def _step(sizes: Sequence[int]) -> int:
    """Return the largest power of 2, at most 32, that divides all sizes: networks may need such multiples."""
    step = 32
    while any(size % step for size in sizes):
        step //= 2
    return step


def _allow_small_sizes(program: ExportedProgram) -> None:
    """Let sizes start at 1: torch.export excludes sizes at which a feature map would have a side of 1."""
    for symbol, limits in program.range_constraints.items():
        program.range_constraints[symbol] = ValueRanges(min(1, limits.lower), limits.upper)


def _remove_source_notes(program: ExportedProgram) -> None:
    for node in program.graph.nodes:
        for key in ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn"):
            node.meta.pop(key, None)
