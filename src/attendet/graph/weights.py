"""Weights as safetensors that say which model they belong to; nothing in them is executed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from attendet._version import __version__
from attendet.errors import Location, OutputError, WeightsError
from attendet.graph.build import assemble
from attendet.graph.detector import Detector
from attendet.graph.plan import plan
from attendet.graph.spec import read_model_file

LARGEST_IMAGE = 8192


@dataclass(frozen=True)
class Card:
    """What a file of weights says about itself.

    Attributes:
        model: Name of the model file.
        text: The model file itself.
        dialect: How its attention rows are read.
        names: The classes' names, by number.
        image_size: Side of the training images in pixels.
    """

    model: str
    text: str
    dialect: str
    names: tuple[str, ...]
    image_size: int


@dataclass(frozen=True)
class Alignment:
    """How a state dict fits a network.

    Attributes:
        loaded: Keys whose values were taken.
        missing: Keys of the network that the state dict lacks.
        unfit: Keys of both whose shapes differ.
        unused: Keys of the state dict that the network lacks.
    """

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unfit: tuple[str, ...]
    unused: tuple[str, ...]

    def __str__(self) -> str:
        total = len(self.loaded) + len(self.missing) + len(self.unfit)
        rest = {
            "not in the weights": self.missing,
            "of another shape": self.unfit,
            "in the weights and not in the model": self.unused,
        }
        told = [f"{len(keys)} {what} ({', '.join(_rows(keys))})" for what, keys in rest.items() if keys]
        return "; ".join([f"{len(self.loaded)} of {total} tensors loaded", *told])


def save_weights(path: Path, detector: Detector, card: Card) -> None:
    """Write a network's weights, whole or not at all; an older file of this name is replaced.

    Raises:
        OutputError: If the file cannot be written; what was there before is still there.
    """
    tensors = {key: value.detach().cpu().contiguous() for key, value in detector.state_dict().items()}
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        save_file(tensors, temporary, metadata={"attendet": __version__, "card": json.dumps(asdict(card))})
        temporary.replace(path)
    except (OSError, SafetensorError) as error:
        temporary.unlink(missing_ok=True)
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise OutputError(f"it cannot be written: {reason}", where=Location(str(path))) from error


def load_weights(path: str | os.PathLike[str]) -> tuple[Detector, Card]:
    """Return the network of a file of weights, in evaluation mode, and what the file says about itself.

    Raises:
        WeightsError: If it is no such file, or its tensors are not those of its model.

    Example:
        >>> import attendet, tempfile
        >>> from attendet.graph.bundled import bundled_text
        >>> detector = attendet.build("yolov5n", classes=1)
        >>> card = Card("yolov5n", bundled_text("yolov5n"), "auto", ("cell",), 320)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_weights(Path(folder, "best.safetensors"), detector, card)
        ...     again, read = load_weights(Path(folder, "best.safetensors"))
        >>> read.names, again.classes
        (('cell',), 1)
    """
    state, card = read_weights(path)
    file = read_model_file(card.text, card.model)
    detector = assemble(plan(file, classes=len(card.names), dialect=card.dialect, checkpoint=state))
    alignment = load_matching(detector, state)
    if alignment.missing or alignment.unfit or alignment.unused:
        raise WeightsError(f"its tensors are not those of {card.model}: {alignment}", where=Location(os.fspath(path)))
    return detector.train(False), card


def weights_file(path: str | os.PathLike[str]) -> Path:
    """Return the file of weights that a path names: itself, or the best ones in the folder of a run.

    Raises:
        WeightsError: If it is a folder without them.

    Example:
        >>> weights_file("best.safetensors").name
        'best.safetensors'
    """
    if not Path(path).is_dir():
        return Path(path)
    best = Path(path, "weights", "best.safetensors")
    if not best.is_file():
        raise WeightsError(
            "the folder has no weights/best.safetensors",
            where=Location(os.fspath(path)),
            remedy="name a .safetensors file or a run's folder",
        )
    return best


def read_weights(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], Card]:
    """Return the tensors of a file of weights, and what the file says about itself.

    Raises:
        WeightsError: If it is no such file.
    """
    where = Location(os.fspath(path))
    if not Path(path).is_file():
        raise WeightsError("there is no such file", where=where, remedy="name a .safetensors file or a run's folder")
    if Path(path).suffix in (".pt", ".pth", ".ckpt"):
        raise WeightsError(
            "it is a pickle, which can run code when it is opened", where=where, remedy="name a .safetensors file"
        )
    try:
        with safe_open(path, framework="pt") as file:
            card = _card((file.metadata() or {}).get("card"))
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (it is no mapping)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"it is not a safetensors file: {error}", where=where) from error
    if card is None:
        raise WeightsError("it does not say which model it belongs to", where=where, remedy="attendet train writes it")
    return state, card


@torch.no_grad()
def load_matching(model: nn.Module, state: Mapping[str, Tensor]) -> Alignment:
    """Copy into a network the values whose keys and shapes it shares with a state dict.

    Example:
        >>> model = nn.Linear(2, 3)
        >>> print(load_matching(model, {"weight": torch.ones(3, 2), "scale": torch.ones(1)}))
        1 of 2 tensors loaded; 1 not in the weights (bias); 1 in the weights and not in the model (scale)
    """
    own = model.state_dict()
    fit = [key for key in own if key in state and state[key].shape == own[key].shape]
    model.load_state_dict({key: state[key] for key in fit}, strict=False)
    return Alignment(
        loaded=tuple(fit),
        missing=tuple(key for key in own if key not in state),
        unfit=tuple(key for key in own if key in state and key not in fit),
        unused=tuple(key for key in state if key not in own),
    )


def _card(text: str | None) -> Card | None:
    try:
        fields = json.loads(text or "")
        card = Card(**{**fields, "names": tuple(fields["names"])})
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    words = (card.model, card.text, card.dialect, *card.names)
    sound = all(isinstance(word, str) for word in words) and isinstance(card.image_size, int)
    return card if sound and card.names and 0 < card.image_size <= LARGEST_IMAGE else None


def _rows(keys: tuple[str, ...]) -> list[str]:
    """Return the rows that keys belong to (`model.9.cv1.conv.weight` → `row 9`), in order, each once."""
    parts = [key.split(".") for key in keys]
    return list(dict.fromkeys(f"row {part[1]}" if part[0] == "model" and len(part) > 1 else part[0] for part in parts))
