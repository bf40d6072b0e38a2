"""The formats of exported files: how each is written, described, and opened."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import assert_never

import numpy as np
import torch
from numpy.typing import NDArray

from attendet.exporting.export_options import ExportFormat
from attendet.exporting.format_packages import packages_of
from attendet.exporting.graph_source import GraphSource
from attendet.exporting.ncnn_file import describe_ncnn, without_decoding, write_ncnn
from attendet.exporting.onnx_file import describe_onnx
from attendet.exporting.openvino_file import describe_openvino, write_openvino
from attendet.exporting.quantization import quantize_onnx, quantize_openvino
from attendet.exporting.torch_file import describe_program, write_program
from attendet.models.detector import Detector
from attendet.runtimes.exported_file import ExportedFile
from attendet.runtimes.file_description import FileDescription
from attendet.runtimes.ncnn_network import ncnn_weights_path
from attendet.runtimes.runtime_files import open_file
from attendet.utils.provenance import versions


def describe_format(source: GraphSource, file_format: ExportFormat) -> FileDescription:
    """Return the description of a file before it is compared with torch."""
    description = source.description
    packages = versions(packages_of(file_format, description.precision))
    changes: dict[str, object] = {"versions": {**description.versions, **packages}}
    if file_format == "ncnn" and isinstance(source.network, Detector):
        changes["decoding"] = source.network.head.map_decoding()
    return description.model_copy(update=changes)


def write_format(
    source: GraphSource,
    file_format: ExportFormat,
    path: Path,
    description: FileDescription,
    calibration: Sequence[NDArray[np.float32]] = (),
) -> None:
    """Write a file.

    Args:
        source: The network.
        file_format: Its format.
        path: The file; weights are written next to it if the format stores them apart.
        description: What the file contains.
        calibration: Images from which the ranges of int8 files are measured.

    Raises:
        OptionError: If a package is missing, or the network cannot be expressed in the format.
        OutputError: If the file cannot be written.
    """
    is_int8 = description.precision == "int8"
    match file_format:
        case "onnx" | "tensorrt" if is_int8:
            # TensorRT reads symmetric ranges only.
            ranges = "symmetric" if file_format == "tensorrt" else "asymmetric"
            quantize_onnx(source.onnx_file, path, calibration, activations=ranges)
            describe_onnx(path, description)
        case "onnx" | "tensorrt":
            path.write_bytes(source.onnx_file.read_bytes())
            describe_onnx(path, description)
        case "openvino" if is_int8:
            quantize_openvino(source.onnx_file, path, calibration)
            describe_openvino(path, description)
        case "openvino":
            write_openvino(source.onnx_file, path, description)
        case "torch":
            write_program(source.program, path, description)
        case "ncnn":
            network = source.network
            with source.running(), torch.no_grad():
                network = without_decoding(network) if isinstance(network, Detector) else source.graph
                write_ncnn(network, source.images, path, description)
        case "executorch":
            from attendet.exporting.executorch_file import write_executorch  # noqa: PLC0415 - an extra

            write_executorch(source.program, path, description)
        case _:
            assert_never(file_format)


def replace_description(file_format: ExportFormat, path: Path, description: FileDescription) -> None:
    """Write another description into a file."""
    match file_format:
        case "onnx" | "tensorrt":
            describe_onnx(path, description)
        case "openvino":
            describe_openvino(path, description)
        case "torch":
            describe_program(path, description)
        case "ncnn":
            describe_ncnn(path, description)
        case "executorch":
            from attendet.exporting.executorch_file import describe_executorch  # noqa: PLC0415 - an extra

            describe_executorch(path, description)
        case _:
            assert_never(file_format)


def open_format(file_format: ExportFormat, path: Path) -> ExportedFile:
    """Return the runtime of a file on the CPU, in float32 where a runtime could choose less.

    Raises:
        OptionError: If a package is missing.
        WeightsError: If the runtime cannot read the file.
    """
    if file_format == "executorch":
        from attendet.runtimes.executorch_program import ExecutorchRuntime  # noqa: PLC0415 - an extra

        return ExecutorchRuntime(path)
    return open_file(path, "cpu")


def files_of(path: Path) -> tuple[Path, ...]:
    """Return the paths of all files of an export, the weights first.

    Example:
        >>> [file.name for file in files_of(Path("best.xml"))]
        ['best.bin', 'best.xml']
    """
    match path.suffix:
        case ".xml":
            return path.with_suffix(".bin"), path
        case ".param":
            return ncnn_weights_path(path), path
        case _:
            return (path,)
