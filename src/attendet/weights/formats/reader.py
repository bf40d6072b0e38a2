"""Read a weights file of any format; the format is detected from the first bytes of the file, not from its name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from torch import Tensor

from attendet.errors import Location, WeightsError
from attendet.utils.modules import strip_wrapper_prefixes
from attendet.utils.regular_files import open_regular
from attendet.weights.formats.legacy import read_legacy
from attendet.weights.formats.safetensors_file import is_safetensors, read_safetensors
from attendet.weights.formats.zip_archive import read_zip_archive
from attendet.weights.unpickle.collection import (
    activation_names,
    is_module,
    is_state_dict,
    module_specs,
    read_tensors,
    state_dict_specs,
    unwrap_module,
)
from attendet.weights.unpickle.placeholders import PickledObject
from attendet.weights.unpickle.plain_values import class_names, model_file_text, plain_items

# Keys of the weights in checkpoints, by priority. YOLO validates the averaged weights ("ema"), so they come first.
_WEIGHT_KEYS = ("ema", "model", "state_dict", "model_state_dict")
_MAX_NESTING = 2

# Keys of optimizer states, and of the progress of a run of Lightning, which are not settings of the training.
_STATE_KEYS = ("optimizer", "optimizer_states", "lr_schedulers", "loops", "callbacks")
# In a checkpoint of `attendet train`: the averaged weights, which it validates and saves, and the description of the
# network, as in the metadata of a safetensors file.
_AVERAGED_PREFIX = "averaged.model."
DESCRIPTION_KEY = "attendet"
_HEAD_BYTES = 512


@dataclass(frozen=True)
class Checkpoint:
    """The content of a weights file.

    Attributes:
        tensors: Parameters and persistent buffers by key, as in a state dict: on the CPU, with the dtypes and strides
            of the file, without gradients. Tensors that share memory in the file share memory here, too.
        kind: "safetensors", "state dict", "training checkpoint" of `attendet train`, or "module" for a pickled model,
            such as a checkpoint of YOLOv5 or YOLOv8.
        names: Class names in the order of their indices; None if the file does not contain any.
        model_file: YAML text of the model file that a YOLO model was built from, or None if it is not in the file.
        training: Other entries of a training checkpoint, such as "epoch", "opt" or "train_args", "hyp", "best_fitness",
            and "date", as plain values that JSON can hold (numbers may be NaN). "nc" is the number of classes of the
            model.
        metadata: Metadata of a safetensors file, or of a training checkpoint; empty for other formats.
        module_class: Class of a pickled model, such as `models.yolo.DetectionModel`; None for other files.
        activations: Names of the classes of the activations in a pickled model by path, such as "SiLU" for
            "model.0.act"; empty for other files.
    """

    tensors: dict[str, Tensor]
    kind: str
    names: tuple[str, ...] | None
    model_file: str | None
    training: dict[str, Any]
    metadata: dict[str, str]
    module_class: str | None = None
    activations: Mapping[str, str] = field(default_factory=dict)


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a weights file without running any code from it.

    Supported formats are safetensors and both formats of `torch.save`, with a state dict, a training checkpoint around
    a state dict (also from Lightning), a pickled model, or a checkpoint of the original YOLOv5, YOLOv8, or YOLO11. If a
    file has weights and their moving average, as the checkpoint of an interrupted run does, the average is read. The
    classes that a pickle names are never imported. The prefixes `module.` and `_orig_mod.` are removed if all keys have
    them, except in a file that describes attached attention by path.

    Args:
        path: The file; its suffix does not matter.

    Returns:
        The tensors, and the other information about the model and its training in the file.

    Raises:
        WeightsError: If the file does not exist, is damaged, contains no weights, or would run code if torch opened it.

    Example:
        >>> import tempfile, torch
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     torch.save({"epoch": 3, "model": torch.nn.Linear(2, 1)}, Path(folder, "last.pt"))
        ...     checkpoint = read_checkpoint(Path(folder, "last.pt"))
        >>> checkpoint.kind, list(checkpoint.tensors), checkpoint.training
        ('module', ['weight', 'bias'], {'epoch': 3})
    """
    where = Location(os.fspath(path))
    if not os.path.lexists(path):
        raise WeightsError("weights file not found", where=where)
    try:
        with open_regular(path, WeightsError) as file:
            return _read(file, Path(path))
    except WeightsError as error:
        raise WeightsError(error.message, where=where, remedy=error.remedy) from error
    except OSError as error:
        raise WeightsError(f"the file cannot be read: {error.strerror or error}", where=where) from error


def _read(file: BinaryIO, path: Path) -> Checkpoint:
    head = file.read(_HEAD_BYTES)
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if is_safetensors(head):
        tensors, metadata = read_safetensors(path)
        if not tensors:
            raise WeightsError("the file contains no tensors")
        # The description of attached attention contains paths inside the network, so the keys must stay as they are.
        named = tensors if "attention" in metadata else strip_wrapper_prefixes(tensors)
        return Checkpoint(named, "safetensors", None, None, {}, metadata)
    if head.startswith(b"PK\x03\x04"):
        content, builder = read_zip_archive(file)
    elif head.startswith(b"\x80"):
        content, builder = read_legacy(file)
    else:
        raise _unknown_format(head)
    holder = content if isinstance(content, dict) else {}
    weights = _find_weights(content, _MAX_NESTING)
    if weights is None:
        remedy = f"save a state dict or a model, alone or under one of the keys {', '.join(_WEIGHT_KEYS)}"
        raise WeightsError("the file contains no weights of a model", remedy=remedy)
    specs = module_specs(weights) if isinstance(weights, PickledObject) else state_dict_specs(weights)
    model = unwrap_module(weights) if isinstance(weights, PickledObject) else None
    if not specs:
        raise WeightsError("the model in the file has neither parameters nor buffers")
    averaged = {
        key.removeprefix(_AVERAGED_PREFIX): spec for key, spec in specs.items() if key.startswith(_AVERAGED_PREFIX)
    }
    if averaged:
        return _training_checkpoint(read_tensors(averaged, builder, size), holder)
    return Checkpoint(
        tensors=strip_wrapper_prefixes(read_tensors(specs, builder, size)),
        kind="module" if model else "state dict",
        names=class_names(_attribute_or_item(model, holder, "names")),
        model_file=model_file_text(_attribute_or_item(model, holder, "yaml")),
        training=_training_settings(model, {} if weights is holder else holder),
        metadata={},
        module_class=str(model.type) if model else None,
        activations=activation_names(model) if model else {},
    )


def _training_checkpoint(tensors: dict[str, Tensor], holder: dict[Any, Any]) -> Checkpoint:
    """Return the content of a checkpoint that `attendet train` continues from."""
    stored = holder.get(DESCRIPTION_KEY)
    description = stored if isinstance(stored, dict) else {}
    metadata = {key: text for key, text in description.items() if isinstance(key, str) and isinstance(text, str)}
    training = _training_settings(None, {key: value for key, value in holder.items() if key != DESCRIPTION_KEY})
    return Checkpoint(tensors, "training checkpoint", None, None, training, metadata)


def _find_weights(content: Any, depth: int) -> PickledObject | dict[str, Any] | None:
    """Return the pickled model or state dict in the content of a file, or None."""
    if is_module(content):
        return content
    # A subclass of dict holds its items like a plain dict.
    items = content.entries if isinstance(content, PickledObject) else content
    if depth and isinstance(items, dict):
        for key in _WEIGHT_KEYS:
            weights = _find_weights(items.get(key), depth - 1)
            if weights is not None:
                return weights
    return items if is_state_dict(items) else None


def _training_settings(model: PickledObject | None, holder: dict[Any, Any]) -> dict[str, Any]:
    of_model = {name: model.attribute(name) for name in ("nc", "hyp")} if model else {}
    left_out = (*_WEIGHT_KEYS, *_STATE_KEYS)
    others = {key: value for key, value in holder.items() if isinstance(key, str) and key not in left_out}
    return plain_items(of_model) | plain_items(others)


def _attribute_or_item(model: PickledObject | None, holder: dict[Any, Any], name: str) -> Any:
    return (model.attribute(name) if model else None) or holder.get(name)


def _unknown_format(head: bytes) -> WeightsError:
    if not head:
        return WeightsError("the file is empty", remedy="download or copy it again")
    if head.lstrip().startswith((b"<", b"version https://git-lfs")):
        return WeightsError("the file is a web page or a Git LFS pointer, not weights", remedy="download it again")
    if head[257:262] == b"ustar":
        return WeightsError(
            "the file has the tar format of torch before 2017, which is not supported",
            remedy="save it with a newer torch",
        )
    return WeightsError(
        "the file is not a weights file", remedy="supported are safetensors files and files from torch.save"
    )
