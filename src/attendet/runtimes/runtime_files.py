"""Open weights or an exported file as a runtime, by the ending of its name."""

from __future__ import annotations

import os
from pathlib import Path

from attendet.errors import Location, OptionError, WeightsError
from attendet.runtimes.exported_file import ExportedFile
from attendet.runtimes.protocol import Runtime
from attendet.runtimes.torch_runtime import TorchRuntime
from attendet.utils.devices import resolve_device
from attendet.weights.io import opening

EXPORTED_SUFFIXES = (".onnx", ".xml", ".param", ".pt2")
"""Endings of exported files that a runtime here can run."""


def is_exported(path: str | os.PathLike[str]) -> bool:
    """Return whether the name of a file ends like that of an exported file.

    Example:
        >>> is_exported("best.onnx"), is_exported("best.safetensors")
        (True, False)
    """
    return Path(path).suffix.lower() in EXPORTED_SUFFIXES


def open(path: str | os.PathLike[str], device: str = "auto", *, half: bool = False) -> Runtime:  # noqa: A001
    """Return the runtime of a detector.

    Args:
        path: A run's folder, a `.safetensors` file, or a YOLO `.pt` checkpoint, which torch runs. Or an exported
            file: `.onnx` (onnxruntime), `.xml` (OpenVINO), `.param` (ncnn), or `.pt2` (torch).
        device: `auto`, `cpu`, `cuda`, or the index of a GPU.
        half: Whether torch computes in half precision; needs a GPU.

    Raises:
        WeightsError: If the file cannot be read.
        OptionError: If the device does not exist, or a package that the file needs is not installed.

    Example:
        >>> open("best.onnx")
        Traceback (most recent call last):
            ...
        attendet.errors.WeightsError: best.onnx: weights file not found
    """
    if is_exported(path):
        if half:
            raise OptionError(
                "`half` must be left out for an exported file", remedy="its precision was chosen by `export`"
            )
        return open_detector_file(Path(path), device)
    where = resolve_device(device)
    if half and not where.startswith("cuda"):
        raise OptionError(f"`half` needs a GPU, got the device {where!r}", remedy="leave it out")
    opened = opening.open(path)
    return TorchRuntime(opened.detector, opened.card, where, half=half)


def open_detector_file(path: Path, device: str = "auto") -> ExportedFile:
    """Return the runtime of an exported detector.

    Raises:
        WeightsError: If the file cannot be read, or does not contain a detector.
    """
    runtime = open_file(path, device)
    if runtime.description.kind != "detector":
        raise WeightsError(
            "the file contains a network that is not a detector",
            where=Location(str(path)),
            remedy="run it with its own runtime",
        )
    return runtime


def open_file(path: Path, device: str = "auto") -> ExportedFile:
    """Return the runtime of an exported file of a detector or of any other network.

    Raises:
        WeightsError: If the file does not exist or cannot be read.
        OptionError: If a package that it needs is not installed, or it does not support the device.
    """
    if not path.is_file():
        raise WeightsError("weights file not found", where=Location(str(path)))
    # Each of these modules needs a package of its own.
    match path.suffix.lower():
        case ".onnx":
            from attendet.runtimes.onnx_session import OnnxRuntime  # noqa: PLC0415

            return OnnxRuntime(path, device)
        case ".xml":
            from attendet.runtimes.openvino_model import OpenVinoRuntime  # noqa: PLC0415

            return OpenVinoRuntime(path, device)
        case ".param":
            from attendet.runtimes.ncnn_network import NcnnRuntime  # noqa: PLC0415

            return NcnnRuntime(path, device)
        case ".pt2":
            from attendet.runtimes.torch_program import ProgramRuntime  # noqa: PLC0415

            return ProgramRuntime(path, device)
    raise WeightsError(
        f"the ending must be one of {', '.join(EXPORTED_SUFFIXES)}, got {path.suffix!r}", where=Location(str(path))
    )
