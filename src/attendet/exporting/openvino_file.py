"""ONNX files as OpenVINO models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attendet.runtimes.extras import require
from attendet.runtimes.file_description import METADATA_KEY, FileDescription
from attendet.runtimes.openvino_model import openvino_error, read_openvino
from attendet.utils.io import write_atomically


def write_openvino(onnx_file: Path, path: Path, description: FileDescription) -> None:
    """Write the network of an ONNX file as an `.xml` and a `.bin` file.

    Args:
        onnx_file: The ONNX file, as `attendet.exporting.onnx_file.write_onnx` writes it.
        path: The `.xml` file.
        description: What the file contains. With the precision float16, weights are stored in half precision.

    Raises:
        OptionError: If OpenVINO is not installed.
        WeightsError: If it cannot convert the network.
        OutputError: If a file cannot be written.
    """
    openvino = require("openvino", "openvino", f"write {path.name}")
    try:
        model = openvino.convert_model(onnx_file)
    except Exception as error:  # the converter raises errors of many classes
        raise openvino_error(onnx_file, "convert the network", error) from error
    _save(openvino, model, path, description)


def describe_openvino(path: Path, description: FileDescription) -> None:
    """Replace the description in an OpenVINO file, for example after the parity was measured.

    Raises:
        OptionError: If OpenVINO is not installed.
        WeightsError: If the file cannot be read.
        OutputError: If a file cannot be written.
    """
    openvino = require("openvino", "openvino", f"write {path.name}")
    _save(openvino, read_openvino(openvino.Core(), path), path, description)


def _save(openvino: Any, model: Any, path: Path, description: FileDescription) -> None:
    model.set_rt_info(description.to_json(), METADATA_KEY)
    with write_atomically(path) as temporary:
        openvino.save_model(model, temporary, compress_to_fp16=description.precision == "float16")
        temporary.with_suffix(".bin").replace(path.with_suffix(".bin"))
