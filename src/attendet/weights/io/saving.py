"""Weights into a file that says which network they belong to and what is attached to it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from attendet._version import __version__
from attendet.errors import Location, OutputError
from attendet.surgery import AttentionPlan, attached
from attendet.surgery.attachment_plan import plans_of
from attendet.utils.io import write_atomically
from attendet.utils.modules import unwrap
from attendet.weights.io.card import Card, card_metadata, plans_metadata


def save_weights(model: nn.Module, path: str | os.PathLike[str], card: Card | None = None) -> None:
    """Write a network's weights as safetensors, whole or not at all; an older file of this name is replaced.

    What is attached to the network is written down too, and attached again when the weights are loaded.

    Args:
        model: Any network.
        path: The file, `*.safetensors` by custom.
        card: What else to say, for a detector: the file alone is then enough to make it again.

    Raises:
        OptionError: If attention that was attached has been lost since.
        OutputError: If the file cannot be written; what was there before is still there.

    Example:
        >>> import tempfile
        >>> from attendet import load_weights
        >>> from torchvision.models import resnet18
        >>> model = resnet18()
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_weights(model, Path(folder, "resnet18.safetensors"))
        ...     print(load_weights(resnet18(), Path(folder, "resnet18.safetensors")))
        kept 122 of 122 tensors
    """
    path = Path(path)
    model = unwrap(model)
    attached(model)  # raises where attention was lost
    plans = tuple(plan.placed(prefix) for prefix, _, plan in plans_of(model))
    write_tensors(model.state_dict(), path, card, plans)


def write_tensors(
    tensors: Mapping[str, Tensor], path: Path, card: Card | None, plans: tuple[AttentionPlan, ...]
) -> None:
    """Write tensors and what is to be said of them, as `save_weights` does.

    Raises:
        OutputError: If the file cannot be written; what was there before is still there.
    """
    metadata = {"attendet": __version__, **(card_metadata(card) if card else {}), **plans_metadata(plans)}
    try:
        with write_atomically(path) as temporary:
            save_file(_separate(tensors), temporary, metadata=metadata)
    except SafetensorError as error:
        raise OutputError(f"cannot be written: {error}", where=Location(str(path))) from error


def _separate(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors with memory of their own: the format has no shared ones."""
    seen: set[int] = set()
    separate = {}
    for key, value in state.items():
        tensor = value.detach().cpu().contiguous()
        memory = tensor.untyped_storage().data_ptr()
        separate[key] = tensor.clone() if memory in seen else tensor
        seen.add(memory)
    return separate
