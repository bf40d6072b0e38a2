"""An ONNX file that onnxruntime runs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from attendet.errors import Location, OptionError, WeightsError
from attendet.runtimes.exported_file import ExportedFile, description_of_file, first_line
from attendet.runtimes.extras import require
from attendet.runtimes.file_description import METADATA_KEY

_ERRORS_ONLY = 3
_GPU = re.compile(r"auto|cuda|(?:cuda:)?([0-9]{1,6})")


class OnnxRuntime(ExportedFile):
    """An ONNX file that onnxruntime runs.

    The number of threads is that of torch.

    Args:
        path: The file.
        device: `auto` (a GPU if onnxruntime supports it), `cpu`, `cuda`, or the index of a GPU.

    Raises:
        OptionError: If onnxruntime is not installed, or does not support the device.
        WeightsError: If the file cannot be read.
    """

    def __init__(self, path: Path, device: str = "auto") -> None:
        runtime = require("onnxruntime", "export", f"read {path.name}")
        options = runtime.SessionOptions()
        options.log_severity_level = _ERRORS_ONLY
        options.intra_op_num_threads = torch.get_num_threads()
        providers = onnx_providers(device, runtime.get_available_providers())
        try:
            self._session = runtime.InferenceSession(str(path), options, providers=providers)
        except Exception as error:  # onnxruntime's own classes of errors derive from Exception alone
            message = f"onnxruntime cannot read the file: {first_line(error)}"
            raise WeightsError(message, where=Location(str(path))) from error
        metadata = self._session.get_modelmeta().custom_metadata_map
        super().__init__(path, description_of_file(metadata.get(METADATA_KEY), path))
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            raise WeightsError(f"the network must have one input, got {len(inputs)}", where=Location(str(path)))
        self._input = inputs[0].name

    def run_batch(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return all outputs for images (N, C, …) on the CPU."""
        outputs = self._session.run(list(self.description.outputs), {self._input: images.contiguous().numpy()})
        return tuple(map(torch.from_numpy, outputs))


def onnx_providers(device: str, available: Sequence[str]) -> list[str | tuple[str, dict[str, int]]]:
    """Return the providers of onnxruntime for a device.

    Args:
        device: `auto`, `cpu`, `cuda`, or the index of a GPU.
        available: Names of the providers that onnxruntime was built with.

    Raises:
        OptionError: If the device is another one, or a GPU and onnxruntime was built without CUDA.

    Example:
        >>> onnx_providers("1", ["CUDAExecutionProvider", "CPUExecutionProvider"])
        [('CUDAExecutionProvider', {'device_id': 1}), 'CPUExecutionProvider']
    """
    supports_gpu = "CUDAExecutionProvider" in available
    wants_gpu = device not in ("auto", "cpu") or (device == "auto" and supports_gpu)
    if wants_gpu and not supports_gpu:
        message = f"`device` must be cpu for ONNX files, because this onnxruntime has no CUDA, got {device!r}"
        raise OptionError(message, remedy="install onnxruntime-gpu")
    if not wants_gpu:
        return ["CPUExecutionProvider"]
    # Torch may have been built without CUDA, so its list of GPUs does not matter.
    gpu = _GPU.fullmatch(device)
    if gpu is None:
        raise OptionError(f"`device` must be auto, cpu, cuda, or the index of a GPU for ONNX files, got {device!r}")
    return [("CUDAExecutionProvider", {"device_id": int(gpu[1] or 0)}), "CPUExecutionProvider"]
