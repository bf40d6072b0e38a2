"""ONNX files with 8-bit convolutions, for onnxruntime and TensorRT."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from attendet.errors import OptionError
from attendet.exporting.quantization.decoding_part import decoding_nodes, last_convolutions
from attendet.exporting.quantization.tool_output import relayed_output
from attendet.runtimes.extras import require
from attendet.utils.io import write_atomically

ActivationRange: TypeAlias = Literal["asymmetric", "symmetric"]
"""Placement of the 256 values of an activation: from its minimum to its maximum, or equally far below and above 0."""

_PURPOSE = "write an int8 ONNX file"
_OPERATORS = ["Conv"]


def quantize_onnx(
    source: Path, target: Path, images: Iterable[NDArray[np.float32]], *, activations: ActivationRange = "asymmetric"
) -> None:
    """Write a copy of an ONNX file whose convolutions compute with 8-bit weights and activations.

    All other operators compute in float32, and so do the last convolutions, whose outputs are decoded into boxes and
    scores; see `attendet.exporting.quantization.decoding_part`. Weights have one scale per output channel, and 0 as
    their zero point; activations have the range of all calibration images. Batch size and image size stay dynamic, and
    the metadata is kept.

    Args:
        source: The float32 file; its first input takes the images.
        target: The new file.
        images: Calibration images (1, 3, H, W) in 0-1; they are read once, one at a time.
        activations: `asymmetric` (uint8, any zero point) or `symmetric` (int8, zero point 0, biases in float32).
            TensorRT reads only symmetric files; onnxruntime takes twice as long for them on x86 processors.

    Raises:
        OptionError: If a package is missing, `images` is empty, or no convolution can be quantized.
        OutputError: If the file cannot be written.
    """
    onnx = require("onnx", "int8", _PURPOSE)
    quantization = require("onnxruntime.quantization", "int8", _PURPOSE)
    pre_process = require("onnxruntime.quantization.shape_inference", "int8", _PURPOSE).quant_pre_process
    original = onnx.load(source)
    reader = _calibration_reader(quantization.CalibrationDataReader, original.graph.input[0], images)
    symmetric = activations == "symmetric"
    with write_atomically(target) as temporary, relayed_output("onnxruntime"):
        prepared, quantized = temporary.with_name("prepared.onnx"), temporary.with_name("quantized.onnx")
        # Symbolic shape inference fails on the arithmetic of dynamic sizes.
        pre_process(source, prepared, skip_symbolic_shape=True)
        model = onnx.load(prepared)
        chosen = _nodes_before_decoding(model.graph)
        onnx.save(model, prepared)
        quantization.quantize_static(
            prepared,
            quantized,
            reader,
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=_OPERATORS,
            nodes_to_quantize=chosen,
            per_channel=True,
            activation_type=quantization.QuantType.QInt8 if symmetric else quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            calibrate_method=quantization.CalibrationMethod.MinMax,
            extra_options={
                "ActivationSymmetric": symmetric,
                "WeightSymmetric": True,
                "QuantizeBias": not symmetric,
            },
        )
        model = onnx.load(quantized)
        _restore_header(model, original)
        onnx.save(model, temporary)


def _calibration_reader(base: type, value: Any, images: Iterable[NDArray[np.float32]]) -> Any:
    """Return the images in the form that onnxruntime reads: an object whose `get_next` returns the inputs by name.

    A file with a fixed batch size takes copies of each image.
    """
    copies = value.type.tensor_type.shape.dim[0].dim_value or 1
    inputs = ({value.name: np.repeat(image, copies, axis=0)} for image in images)
    first = next(inputs, None)
    if first is None:
        raise OptionError("`images` must have at least one calibration image, got none")
    inputs = itertools.chain([first], inputs)
    return type("CalibrationReader", (base,), {"get_next": lambda _: next(inputs, None)})()


def _nodes_before_decoding(graph: Any) -> list[str]:
    """Give every node of a graph a name of its own, and return the names of those before the last convolutions."""
    readers: dict[str, list[int]] = {}
    for index, node in enumerate(graph.node):
        node.name = f"{node.op_type}_{index}"
        for name in node.input:
            readers.setdefault(name, []).append(index)
    successors = {
        index: [reader for name in node.output for reader in readers.get(name, ())]
        for index, node in enumerate(graph.node)
    }
    convolutions = {index for index, node in enumerate(graph.node) if node.op_type == "Conv"}
    last = last_convolutions(successors, convolutions)
    if convolutions == last:
        raise OptionError("the network must have convolutions before its last ones to be quantized, got none")
    excluded = last | decoding_nodes(successors, convolutions)
    return [node.name for index, node in enumerate(graph.node) if index not in excluded]


def _restore_header(model: Any, original: Any) -> None:
    """Give a model the metadata of the original, and drop the operator sets that the tools added without need."""
    del model.metadata_props[:]
    model.metadata_props.extend(original.metadata_props)
    used = {node.domain for node in model.graph.node} | {entry.domain for entry in original.opset_import}
    versions = [entry for entry in model.opset_import if entry.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(versions)
