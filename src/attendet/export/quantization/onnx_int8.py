"""ONNX files with 8-bit convolutions, for onnxruntime and TensorRT."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from attendet.errors import OptionError
from attendet.export.quantization.tool_output import relayed_output
from attendet.runtimes.extras import require
from attendet.utils.io import write_atomically

ActivationRange: TypeAlias = Literal["asymmetric", "symmetric"]
"""Placement of the 256 values of an activation: from its minimum to its maximum, or equally far below and above 0."""

_PURPOSE = "write an int8 ONNX file"


def quantize_onnx(
    source: Path, target: Path, images: Iterable[NDArray[np.float32]], *, activations: ActivationRange = "asymmetric"
) -> None:
    """Write a copy of an ONNX file whose convolutions compute with 8-bit weights and activations.

    QuantizeLinear and DequantizeLinear operators surround the convolutions only. Weights have one scale per output
    channel, and 0 as their zero point. Batch size and image size stay dynamic, and the metadata is kept.

    Args:
        source: The float32 file; its first input takes the images.
        target: The new file.
        images: Calibration images (1, 3, H, W) in 0-1; they are read once, one at a time.
        activations: `asymmetric` (uint8, any zero point) or `symmetric` (int8, zero point 0, biases in float32).
            TensorRT reads only symmetric files.

    Raises:
        OptionError: If a package is missing, there are no images, or the network has no convolution.
        OutputError: If the file cannot be written.
    """
    onnx = require("onnx", "int8", _PURPOSE)
    quantization = require("onnxruntime.quantization", "int8", _PURPOSE)
    pre_process = require("onnxruntime.quantization.shape_inference", "int8", _PURPOSE).quant_pre_process
    original = onnx.load(source)
    if not any(node.op_type == "Conv" for node in original.graph.node):
        raise OptionError("the network must have a convolution to be quantized, got none")
    reader = _calibration_reader(quantization.CalibrationDataReader, original.graph.input[0].name, images)
    symmetric = activations == "symmetric"
    with write_atomically(target) as temporary, relayed_output("onnxruntime"):
        prepared, quantized = temporary.with_name("prepared.onnx"), temporary.with_name("quantized.onnx")
        # Symbolic shape inference fails on the arithmetic of dynamic sizes.
        pre_process(source, prepared, skip_symbolic_shape=True)
        quantization.quantize_static(
            prepared,
            quantized,
            reader,
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            per_channel=True,
            activation_type=quantization.QuantType.QInt8 if symmetric else quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            calibrate_method=quantization.CalibrationMethod.MinMax,
            extra_options={"ActivationSymmetric": symmetric, "WeightSymmetric": True, "QuantizeBias": not symmetric},
        )
        model = onnx.load(quantized)
        _restore_header(model, original)
        onnx.save(model, temporary)


def _calibration_reader(base: type, name: str, images: Iterable[NDArray[np.float32]]) -> Any:
    """Return the images in the form that onnxruntime reads: an object whose `get_next` returns the inputs by name."""
    remaining = iter(images)
    first = next(remaining, None)
    if first is None:
        raise OptionError("`images` must have at least one calibration image, got none")
    inputs = ({name: image} for part in ([first], remaining) for image in part)
    return type("CalibrationReader", (base,), {"get_next": lambda _: next(inputs, None)})()


def _restore_header(model: Any, original: Any) -> None:
    """Give a model the metadata of the original, and drop the operator sets that the tools added without need."""
    del model.metadata_props[:]
    model.metadata_props.extend(original.metadata_props)
    used = {node.domain for node in model.graph.node} | {entry.domain for entry in original.opset_import}
    versions = [entry for entry in model.opset_import if entry.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(versions)
