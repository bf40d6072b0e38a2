"""What a module does, counted: parameters, floating-point operations, and bytes moved. Nothing is computed."""

from __future__ import annotations

import torch
import torch.utils._pytree as pytree
from peers import SHAPES, in_plain_torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from attendet.attention import create, names

COUNTED = (
    "Per image, forward, at {shapes}. FLOPs of convolutions and matrix products, a multiply-add counted as two. Bytes "
    "moved are what plain torch operations read and write, each tensor counted once for each operation, float32."
)


class BytesMoved(TorchDispatchMode):
    """Adds up what operations read and write; views move nothing, and what is broadcast is read as it is stored."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # noqa: ANN001, ANN204
        """Run an operation and count its tensors."""
        result = func(*args, **(kwargs or {}))
        if not func.is_view:
            tensors = [leaf for leaf in pytree.tree_leaves((args, kwargs, result)) if isinstance(leaf, Tensor)]
            self.total += sum(stored_bytes(tensor) for tensor in {id(tensor): tensor for tensor in tensors}.values())
        return result


def stored_bytes(tensor: Tensor) -> int:
    """Return how many bytes of memory a tensor's values are, those it repeats counted once."""
    stored = tensor.element_size()
    for length, stride in zip(tensor.shape, tensor.stride(), strict=True):
        stored *= length if stride else 1
    return stored


def counts(name: str, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return parameters, FLOPs and bytes moved of a module, forward, of one image; nothing is computed."""
    with torch.device("meta"), torch.no_grad():
        module, x = in_plain_torch(create(name, shape[1])), torch.empty(shape)
        with FlopCounterMode(display=False) as flops:
            module(x)
        with BytesMoved() as moved:
            module(x)
    parameters = sum(parameter.numel() for parameter in module.parameters())
    return parameters, flops.get_total_flops() // shape[0], moved.total // shape[0]


def short(number: float) -> str:
    """Return a number with three digits and its magnitude, as 5.24G."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:g}"


def counted_table() -> list[str]:
    """Return parameters, FLOPs and bytes of every module at all shapes, as Markdown."""
    shapes = ", ".join("×".join(str(side) for side in shape[1:]) for shape in SHAPES)
    lines = [COUNTED.format(shapes=shapes), "", "| module | parameters | FLOPs | bytes moved |", "|---|---|---|---|"]
    for name in names():
        columns = zip(*(counts(name, shape) for shape in SHAPES), strict=True)
        cells = [" · ".join(short(number) for number in column) for column in columns]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return lines
