"""OpenVINO files with 8-bit operators, except for the decoding."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attendet.errors import OptionError
from attendet.exporting.quantization.decoding_part import decoding_nodes
from attendet.exporting.quantization.tool_output import relayed_output
from attendet.runtimes.extras import require
from attendet.utils.io import write_atomically

_PURPOSE = "write an int8 OpenVINO file"
_CONVOLUTIONS = frozenset(
    {"Convolution", "GroupConvolution", "ConvolutionBackpropData", "GroupConvolutionBackpropData"}
)


def quantize_openvino(source: Path, target: Path, images: Sequence[NDArray[np.float32]]) -> None:
    """Write an OpenVINO file whose operators compute with 8-bit weights and activations, except for the decoding.

    NNCF decides which operators are quantized: weights symmetrically per channel, activations asymmetrically (its
    preset `mixed`), biases corrected. The operators behind the last convolutions stay in floating point; they are
    found by following the graph, see `attendet.exporting.quantization.decoding_part`.

    Args:
        source: The float32 file: `.onnx`, or `.xml` with its `.bin`.
        target: The new `.xml` file; its weights are written to the `.bin` file of the same name.
        images: Calibration images (1, 3, H, W) in 0-1; they are read several times, one at a time.

    Raises:
        OptionError: If a package is missing, `images` is empty, or the network has no convolution.
        OutputError: If a file cannot be written.
    """
    openvino = require("openvino", "int8", _PURPOSE)
    nncf = require("nncf", "int8", _PURPOSE)
    if not len(images):
        raise OptionError("`images` must have at least one calibration image, got none")
    model = openvino.Core().read_model(source)
    ignored = nncf.IgnoredScope(names=decoding_operators(model))
    batch = model.input(0).get_partial_shape()[0]
    # A file with a fixed batch size takes copies of each image.
    copies = batch.get_length() if batch.is_static else 1
    with relayed_output("nncf", "nncf"), _without_note_about_cuda():
        quantized = nncf.quantize(
            model,
            nncf.Dataset(images, lambda image: np.repeat(image, copies, axis=0)),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(images),
            ignored_scope=ignored,
        )
    with write_atomically(target) as temporary:
        openvino.save_model(quantized, temporary, compress_to_fp16=False)
        temporary.with_suffix(".bin").replace(target.with_suffix(".bin"))


def decoding_operators(model: Any) -> list[str]:
    """Return the names of the operators behind the last convolutions of an `openvino.Model`, in its order.

    Operators that share a name with an earlier one are renamed, because NNCF knows operators by their names only.

    Raises:
        OptionError: If the network has no convolution.
    """
    operators = model.get_ordered_ops()
    _make_names_unique(operators)
    successors = {
        operator.get_friendly_name(): [
            reader.get_node().get_friendly_name()
            for output in operator.outputs()
            for reader in output.get_target_inputs()
        ]
        for operator in operators
    }
    convolutions = {each.get_friendly_name() for each in operators if each.get_type_name() in _CONVOLUTIONS}
    found = decoding_nodes(successors, convolutions)
    return [name for name in successors if name in found]


@contextmanager
def _without_note_about_cuda() -> Iterator[None]:
    """Silence the line of torch about a CUDA compiler without a GPU, which NNCF's import of its extensions causes."""
    logger = logging.getLogger("torch.utils.cpp_extension")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _make_names_unique(operators: Sequence[Any]) -> None:
    seen: set[str] = set()
    for operator in operators:
        if operator.get_friendly_name() in seen:
            # OpenVINO's own name of an operator is unique.
            operator.set_friendly_name(f"{operator.get_friendly_name()}/{operator.get_name()}")
        seen.add(operator.get_friendly_name())
