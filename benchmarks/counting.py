"""Parameters, floating-point operations, and bytes moved of attention modules, counted without computing anything."""

from __future__ import annotations

import torch
import torch.utils._pytree as pytree
from peers import SHAPES, in_plain_torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from attendet.attention import create, names

_DESCRIPTION = (
    "Per image, forward pass, for {shapes}. FLOPs of convolutions and matrix products; a multiply-add counts as two. "
    "Bytes moved are the tensors that plain torch operations read and write in float32, once per operation."
)


class BytesMoved(TorchDispatchMode):
    """Sum of the bytes that operations read and write. Views move nothing; broadcast tensors count as stored."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # noqa: ANN001, ANN204
        """Run an operation and count the bytes of its tensors."""
        result = func(*args, **(kwargs or {}))
        if not func.is_view:
            tensors = [leaf for leaf in pytree.tree_leaves((args, kwargs, result)) if isinstance(leaf, Tensor)]
            self.total += sum(stored_bytes(tensor) for tensor in {id(tensor): tensor for tensor in tensors}.values())
        return result


def stored_bytes(tensor: Tensor) -> int:
    """Return the number of bytes of a tensor, where repeated values count once."""
    stored = tensor.element_size()
    for length, stride in zip(tensor.shape, tensor.stride(), strict=True):
        stored *= length if stride else 1
    return stored


def counts(name: str, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return the parameters, FLOPs, and bytes moved of a module in the forward pass of one image."""
    with torch.device("meta"), torch.no_grad():
        module, x = in_plain_torch(create(name, shape[1])), torch.empty(shape)
        with FlopCounterMode(display=False) as flops:
            module(x)
        with BytesMoved() as moved:
            module(x)
    parameters = sum(parameter.numel() for parameter in module.parameters())
    return parameters, flops.get_total_flops() // shape[0], moved.total // shape[0]


def abbreviated(number: float) -> str:
    """Return a number with three digits and its magnitude, such as 5.24G."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:g}"


def counted_table() -> list[str]:
    """Return a Markdown table of the parameters, FLOPs, and bytes of every module for all shapes."""
    shapes = ", ".join("×".join(str(side) for side in shape[1:]) for shape in SHAPES)
    lines = [
        _DESCRIPTION.format(shapes=shapes),
        "",
        "| module | parameters | FLOPs | bytes moved |",
        "|---|---|---|---|",
    ]
    for name in names():
        columns = zip(*(counts(name, shape) for shape in SHAPES), strict=True)
        cells = [" · ".join(abbreviated(number) for number in column) for column in columns]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return lines
