"""What a file of weights holds, whatever its format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Checkpoint:
    """What a file of weights holds.

    Attributes:
        tensors: Parameters and persistent buffers by key, as in a state dict: on the CPU, in the dtype and with the
            strides they are stored in, without gradients. Tensors that share memory in the file share it here.
        kind: "safetensors", "state dict", or "module" for a pickled model, such as YOLOv5's.
        names: The classes' names, by number; None where the file does not number any.
        model_file: The YAML text of the model file that a YOLOv5 model was built from, where the file carries it.
        training: What else a training run left: "epoch", "opt", "hyp", "best_fitness", "date" and the like, as plain
            values that JSON can hold (numbers may be NaN). "nc" is the model's number of classes.
        metadata: The metadata of a safetensors file; empty for other formats.
    """

    tensors: dict[str, Tensor]
    kind: str
    names: tuple[str, ...] | None
    model_file: str | None
    training: dict[str, Any]
    metadata: dict[str, str]
