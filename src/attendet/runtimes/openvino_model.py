"""An OpenVINO model: an `.xml` file with the operators and a `.bin` file with the weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from attendet.errors import Location, OptionError, WeightsError
from attendet.runtimes.exported_file import ExportedFile, description_of_file
from attendet.runtimes.extras import require
from attendet.runtimes.file_description import METADATA_KEY


class OpenVinoRuntime(ExportedFile):
    """An OpenVINO model that OpenVINO runs on the CPU.

    The number of threads is that of torch.

    Args:
        path: The `.xml` file; the `.bin` file is next to it.
        device: `auto` or `cpu`.
        native_precision: Whether OpenVINO may choose the number format of its computations. On processors with
            instructions for bfloat16 it then computes in that format, which is faster: single boxes move by several
            pixels, and the mAP stays the same. Otherwise it computes in float32.

    Attributes:
        computes_in: Number format of the computations, `f32`, or with `native_precision` another one, such as `bf16`.

    Raises:
        OptionError: If OpenVINO is not installed, or the device is another one.
        WeightsError: If a file cannot be read.
    """

    def __init__(self, path: Path, device: str = "auto", *, native_precision: bool = False) -> None:
        if device not in ("auto", "cpu"):
            raise OptionError(f"`device` must be auto or cpu for OpenVINO files, got {device!r}")
        openvino = require("openvino", "openvino", f"read {path.name}")
        core = openvino.Core()
        model = read_openvino(core, path)
        text = str(model.get_rt_info(METADATA_KEY).value) if model.has_rt_info(METADATA_KEY) else None
        super().__init__(path, description_of_file(text, path))
        config = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "PERFORMANCE_HINT": "LATENCY"}
        if not native_precision:
            config["INFERENCE_PRECISION_HINT"] = "f32"
        try:
            self._model = core.compile_model(model, "CPU", config)
            self._outputs = [self._model.output(name) for name in self.description.outputs]
        except RuntimeError as error:
            raise openvino_error(path, "read the file", error) from error
        self.computes_in = str(self._model.get_property("INFERENCE_PRECISION_HINT").to_string())

    def run_batch(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return all outputs for images (N, C, …) on the CPU."""
        try:
            results = self._model([images.contiguous().numpy()])
        except RuntimeError as error:
            raise openvino_error(self.path, f"run images of the shape {tuple(images.shape)}", error) from error
        return tuple(torch.from_numpy(results[output]) for output in self._outputs)


def read_openvino(core: Any, path: Path) -> Any:
    """Return the `openvino.Model` in an `.xml` file and its `.bin` file.

    Args:
        core: An `openvino.Core`.
        path: The `.xml` file.

    Raises:
        WeightsError: If a file is missing or cannot be read.
    """
    for file in (path, path.with_suffix(".bin")):
        if not file.is_file():
            where = Location(str(file))
            raise WeightsError("file of the network not found", where=where, remedy="export the weights again")
    try:
        return core.read_model(path)
    except RuntimeError as error:
        raise openvino_error(path, "read the file", error) from error


def openvino_error(path: Path, step: str, error: Exception) -> WeightsError:
    """Return the error of a step in which OpenVINO failed, such as "read the file"."""
    # OpenVINO puts the places of its own source files in front of the reason.
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = lines[-1] if lines else "no message"
    return WeightsError(f"OpenVINO cannot {step}: {reason}", where=Location(str(path)))
