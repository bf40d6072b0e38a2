"""A file of weights, whatever wrote it; what it is stands in its first bytes and not in its name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, BinaryIO

from attendet.errors import Location, WeightsError
from attendet.weights.formats.checkpoint import Checkpoint
from attendet.weights.formats.legacy import read_legacy
from attendet.weights.formats.safetensors_file import is_safetensors, read_safetensors
from attendet.weights.formats.zip_archive import read_zipped
from attendet.weights.unpickle.collection import (
    dict_sketches,
    is_module,
    is_state_dict,
    module_sketches,
    read_tensors,
    unwrapped,
    without_wrappers,
)
from attendet.weights.unpickle.inert import PickledObject
from attendet.weights.unpickle.plain_values import class_names, model_file_text, plain_items

# Where checkpoints keep their weights. The averaged ones come first: they are what was validated.
_PLACES = ("ema", "model", "state_dict", "model_state_dict")
_DEEPEST_PLACE = 2

# The state of optimizers, which is no setting of the training.
_OPTIMIZERS = ("optimizer", "optimizer_states")
_HEAD_BYTES = 512


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a file of weights without running anything that stands in it.

    It may be a safetensors file, or one of `torch.save` in its present or old format: a state dict, as it is or inside
    of a training checkpoint (Lightning's, too), a pickled model, or a checkpoint of the original YOLOv5. Of weights
    and their moving average, the average is taken. Classes that a pickle names are never imported. A prefix `module.`
    or `_orig_mod.` of all keys is left out, but where the file says what attention is attached to the network.

    Args:
        path: The file. Its format is told from its content.

    Raises:
        WeightsError: If it cannot be read, is damaged, holds no weights, or would run code if torch opened it.

    Example:
        >>> import tempfile, torch
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     torch.save({"epoch": 3, "model": torch.nn.Linear(2, 1)}, Path(folder, "last.pt"))
        ...     checkpoint = read_checkpoint(Path(folder, "last.pt"))
        >>> checkpoint.kind, list(checkpoint.tensors), checkpoint.training
        ('module', ['weight', 'bias'], {'epoch': 3})
    """
    where = Location(os.fspath(path))
    if not Path(path).is_file():
        raise WeightsError("there is no such file", where=where)
    try:
        with Path(path).open("rb") as file:
            return _read(file, Path(path))
    except WeightsError as error:
        raise WeightsError(error.what, where=where, remedy=error.remedy) from error
    except OSError as error:
        raise WeightsError(f"it cannot be read: {error.strerror or error}", where=where) from error


def _read(file: BinaryIO, path: Path) -> Checkpoint:
    head = file.read(_HEAD_BYTES)
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if is_safetensors(head):
        tensors, metadata = read_safetensors(path)
        # What is attached is told by the paths that the network itself has, wrapped or not.
        named = tensors if "attention" in metadata else without_wrappers(tensors)
        return Checkpoint(named, "safetensors", None, None, {}, metadata)
    if head.startswith(b"PK\x03\x04"):
        described, tensors = read_zipped(file)
    elif head.startswith(b"\x80"):
        described, tensors = read_legacy(file)
    else:
        raise _unknown(head)
    holder = described if isinstance(described, dict) else {}
    found = _weights(described, _DEEPEST_PLACE)
    if found is None:
        remedy = f"weights are a state dict or a model, alone or under {', '.join(_PLACES)}"
        raise WeightsError("it holds no weights of a model", remedy=remedy)
    sketches = module_sketches(found) if isinstance(found, PickledObject) else dict_sketches(found)
    model = unwrapped(found) if isinstance(found, PickledObject) else None
    if not sketches:
        raise WeightsError("its model has neither parameters nor buffers")
    return Checkpoint(
        tensors=without_wrappers(read_tensors(sketches, tensors, size)),
        kind="module" if model else "state dict",
        names=class_names(_either(model, holder, "names")),
        model_file=model_file_text(_either(model, holder, "yaml")),
        training=_training(model, {} if found is holder else holder),
        metadata={},
    )


def _weights(described: Any, depth: int) -> PickledObject | dict[str, Any] | None:
    """Return the pickled model or state dict in what a file describes, or None."""
    if is_module(described):
        return described
    # A mapping of a class of its own is as good as a plain one.
    held = described.entries if isinstance(described, PickledObject) else described
    if depth and isinstance(held, dict):
        for place in _PLACES:
            found = _weights(held.get(place), depth - 1)
            if found is not None:
                return found
    return held if is_state_dict(held) else None


def _training(model: PickledObject | None, holder: dict[Any, Any]) -> dict[str, Any]:
    of_model = {name: model.attribute(name) for name in ("nc", "hyp")} if model else {}
    rest = {key: value for key, value in holder.items() if key not in (*_PLACES, *_OPTIMIZERS)}
    return plain_items(of_model) | plain_items(rest)


def _either(model: PickledObject | None, holder: dict[Any, Any], name: str) -> Any:
    return (model.attribute(name) if model else None) or holder.get(name)


def _unknown(head: bytes) -> WeightsError:
    if not head:
        return WeightsError("it is empty", remedy="download or copy it again")
    if head.lstrip().startswith((b"<", b"version https://git-lfs")):
        return WeightsError("it is a web page or a pointer to a file, not the file", remedy="download it again")
    if head[257:262] == b"ustar":
        return WeightsError(
            "it has torch's tar format of before 2017, which is not read", remedy="save it with a newer torch"
        )
    return WeightsError("it is no file of weights", remedy="there are safetensors files and those of torch.save")
