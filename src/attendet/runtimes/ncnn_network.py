"""An ncnn network, that is a `.param` file with the layers and a `.ncnn.bin` file with the weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attendet.errors import Location, OptionError, WeightsError
from attendet.runtimes.exported_file import ExportedFile, description_of_file
from attendet.runtimes.extras import require
from attendet.runtimes.file_description import METADATA_KEY
from attendet.utils.io import read_text

MAX_PARAM_BYTES = 64 * 1024 * 1024
"""Largest size of a `.param` file in bytes."""

_MAGIC = "7767517"


class NcnnRuntime(ExportedFile):
    """An ncnn network that the ncnn library runs on the CPU, one image at a time.

    ncnn has no batch axis. A detector's file ends with the convolutions of the head, and their maps are decoded here.
    The layers compute in float32, also if the file holds the weights in half precision. The number of threads is that
    of torch.

    Args:
        path: The `.param` file; the `.ncnn.bin` file is next to it.
        device: `auto` or `cpu`.

    Raises:
        OptionError: If ncnn is not installed, or the device is another one.
        WeightsError: If a file cannot be read.
    """

    def __init__(self, path: Path, device: str = "auto") -> None:
        if device not in ("auto", "cpu"):
            raise OptionError(f"`device` must be auto or cpu for ncnn files, got {device!r}")
        self._library = require("ncnn", "ncnn", f"read {path.name}")
        super().__init__(path, description_of_file(description_text(path), path))
        self._network = self._load()
        is_detector = self.description.kind == "detector"
        if len(self._network.input_names()) != 1 or (is_detector and self.description.decoding is None):
            message = "the network must have one input, and a detector must describe its decoding"
            raise WeightsError(message, where=Location(str(path)), remedy="export the weights again")

    def run_batch(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return all outputs for images (N, C, …) on the CPU."""
        outputs = zip(*(self._run_image(image.contiguous().numpy()) for image in images), strict=True)
        maps = tuple(torch.stack(parts) for parts in outputs)
        decoding = self.description.decoding
        return maps if decoding is None else (decoding.decode(maps, self.strides),)

    def _run_image(self, image: np.ndarray[Any, Any]) -> list[Tensor]:
        """Return the outputs of the network, without a batch axis."""
        extractor = self._network.create_extractor()
        # A Mat does not own the memory of an array, so its copy is the input.
        extractor.input(self._network.input_names()[0], self._library.Mat(image).clone())
        outputs = []
        for name in self._network.output_names():
            status, output = extractor.extract(name)
            if status:
                message = f"ncnn cannot compute the output {name!r} for images of {tuple(image.shape)}"
                raise WeightsError(message, where=Location(str(self.path)), remedy="export the weights again")
            outputs.append(torch.from_numpy(np.array(output)))
        return outputs

    def _load(self) -> Any:
        network = self._library.Net()
        for option in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
            setattr(network.opt, option, False)
        network.opt.num_threads = torch.get_num_threads()
        for read, file in ((network.load_param, self.path), (network.load_model, ncnn_weights_path(self.path))):
            where = Location(str(file))
            if not file.is_file():
                raise WeightsError("file of the network not found", where=where, remedy="export the weights again")
            if read(str(file)):
                raise WeightsError("ncnn cannot read the file", where=where, remedy="export the weights again")
        return network


def ncnn_weights_path(path: Path) -> Path:
    """Return the path of the weights of an ncnn network.

    Its ending is not `.bin`, because the weights of an OpenVINO model with the same name have that ending.

    Example:
        >>> ncnn_weights_path(Path("best.param")).name
        'best.ncnn.bin'
    """
    return path.with_suffix(".ncnn.bin")


def description_text(path: Path) -> str | None:
    """Return the description in the last line of a `.param` file, or None if it has no description.

    ncnn reads as many lines as the second line counts, so a line behind them has no effect there.

    Raises:
        WeightsError: If the file cannot be read, or is not a `.param` file.
    """
    text = read_text(path, MAX_PARAM_BYTES, WeightsError)
    if not text.startswith(f"{_MAGIC}\n"):
        message = f"the first line must be {_MAGIC}, got {text[:20]!r}"
        raise WeightsError(message, where=Location(str(path)), remedy="give the `.param` file of a network")
    key, _, description = text.rstrip("\n").rpartition("\n")[2].partition(" ")
    return description if key == METADATA_KEY else None


def with_description(text: str, description: str) -> str:
    r"""Return the text of a `.param` file with a description in its last line, which replaces an earlier one.

    Example:
        >>> text = with_description("7767517\n1 1\nInput in0 0 1 in0\n", '{"a": 1}')
        >>> text == with_description(with_description(text, "{}"), '{"a": 1}')
        True
        >>> print(text, end="")
        7767517
        1 1
        Input in0 0 1 in0
        attendet {"a": 1}
    """
    lines = [line for line in text.rstrip("\n").split("\n") if not line.startswith(f"{METADATA_KEY} ")]
    return "\n".join([*lines, f"{METADATA_KEY} {description}", ""])
