"""Save weights in a file that describes the network they belong to and its attached attention."""

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
from attendet.weights.io.file_digests import PLACEHOLDER, write_digest
from attendet.weights.io.model_card import ModelCard, attention_metadata, card_metadata


def save_weights(model: nn.Module, path: str | os.PathLike[str], card: ModelCard | None = None) -> None:
    """Save the weights of a network atomically as a safetensors file; an existing file is replaced.

    The file also describes the attention that is attached to the network, so that loading attaches it again, and
    contains a digest, with which `attendet weights verify` finds damage.

    Args:
        model: Any network; wrappers such as `DataParallel` and `torch.compile` are removed.
        path: The file, usually with the suffix `.safetensors`.
        card: The model card of a detector; with it, `attendet.open` can build the detector from the file alone.

    Raises:
        OptionError: If attached attention was removed in another way than by `detach`.
        OutputError: If the file cannot be written; an existing file then stays unchanged.

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
    model = unwrap(model)
    write_tensors(model.state_dict(), Path(path), card, _attached_plans(model))


def describe_weights(model: nn.Module, card: ModelCard | None) -> dict[str, str]:
    """Return the metadata with which a weights file describes a network.

    Args:
        model: The network; wrappers are removed.
        card: The model card of a detector.

    Raises:
        OptionError: If attached attention was removed in another way than by `detach`.
    """
    return _description(card, _attached_plans(unwrap(model)))


def _attached_plans(model: nn.Module) -> tuple[AttentionPlan, ...]:
    attached(model)  # raises if attached attention was lost
    return tuple(plan.placed(prefix) for prefix, _, plan in plans_of(model))


def _description(card: ModelCard | None, plans: tuple[AttentionPlan, ...]) -> dict[str, str]:
    return {"attendet": __version__, **(card_metadata(card) if card else {}), **attention_metadata(plans)}


def write_tensors(
    tensors: Mapping[str, Tensor], path: Path, card: ModelCard | None, plans: tuple[AttentionPlan, ...]
) -> None:
    """Save tensors atomically as a safetensors file, as `save_weights` does.

    Args:
        tensors: The state dict.
        path: The file.
        card: The model card of a detector, if there is one.
        plans: The attached attention.

    Raises:
        OutputError: If the file cannot be written; an existing file then stays unchanged.
    """
    metadata = {"digest": PLACEHOLDER, **_description(card, plans)}
    try:
        with write_atomically(path) as temporary:
            save_file(_unshared(tensors), temporary, metadata=metadata)
            write_digest(temporary)
    except SafetensorError as error:
        raise OutputError(f"cannot be written: {error}", where=Location(str(path))) from error
    except KeyError as error:
        dtype = str(error.args[0]).removeprefix("torch.")
        message = f"cannot be written: safetensors files have no tensors of the type {dtype}"
        raise OutputError(message, where=Location(str(path)), remedy="convert them to float32") from error


def _unshared(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors on the CPU, each with memory of its own, because safetensors files cannot share memory."""
    seen: set[int] = set()
    unshared = {}
    for key, value in state.items():
        tensor = value.detach().cpu().contiguous()
        memory = tensor.untyped_storage().data_ptr()
        unshared[key] = tensor.clone() if memory in seen else tensor
        seen.add(memory)
    return unshared
